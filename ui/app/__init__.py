"""The app in the browser: `server` serves it, `main` is its script, the rest draws or answers."""
