"""The composition root: builds every adapter and hands the pipeline its house."""
