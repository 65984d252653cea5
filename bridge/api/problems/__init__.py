"""What is wrong, by team, project, kind and severity."""
