"""The app that the compared balancers pass requests to."""

from flask import Flask, Response

app = Flask(__name__)


@app.get("/bytes/<int:size>")
def body(size: int) -> Response:
    """Answer with so many bytes."""
    return Response(b"x" * size, mimetype="application/octet-stream")


@app.get("/healthz")
def healthz() -> str:
    """Answer 200 for as long as the app can serve."""
    return "ok"
