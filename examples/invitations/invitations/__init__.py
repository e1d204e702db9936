"""An invitation service: people are invited by a link, enroll, are let in, and log in. Its only store is enrolld."""
