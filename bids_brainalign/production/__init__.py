"""Speech production: rebuild responses to words from embeddings, and test what that means."""
