"""The only room that knows the durable engine: the pipeline's functions as workflows and steps."""
