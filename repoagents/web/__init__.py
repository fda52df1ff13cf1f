"""What listens: the receiver of GitHub's webhooks, which records and does no work."""
