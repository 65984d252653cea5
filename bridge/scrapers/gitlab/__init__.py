"""GitLab: enumerate by id ranges, read many projects a request, lose nothing."""
