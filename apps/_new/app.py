"""NAME: an app as `./lb app new` creates it."""

from flask import Flask

app = Flask(__name__)


@app.route("/", methods=["GET", "POST"])
def greeting() -> str:
    """Answer with the app's greeting."""
    return "Salam alikom, this is NAME :) "
