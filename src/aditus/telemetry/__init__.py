"""What Aditus tells its operators: log lines and metrics, with secrets taken out."""
