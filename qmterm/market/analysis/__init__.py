"""What is known of companies and their options, with its age: asked once while it is fresh."""
