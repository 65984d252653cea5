"""Facts and checks over HTTP: to Backstage's tech-insights, and as Ox's own."""
