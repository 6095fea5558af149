"""The agent: a small daemon that trains, serves models, and loses nothing it finished."""
