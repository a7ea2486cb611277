"""App1: the app that an app developer edits."""

from flask import Flask

app = Flask(__name__)


@app.route("/", methods=["GET", "POST"])
def greeting() -> str:
    """Answer with the app's greeting."""
    return "Salam alikom, this is App1 :) "


@app.get("/healthz")
def healthz() -> str:
    """Answer 200 for as long as the app can serve."""
    return "ok"
