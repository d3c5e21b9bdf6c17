"""Speech production: from recordings of people who speak to what their words predict."""
