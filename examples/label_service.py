"""A web service that labels rows with an exported model: TensorFlow alone, kingdra_cluster need not be installed.

python label_service.py MODEL_FOLDER 8000
curl -d '[[0.1, 0.2, ...], ...]' localhost:8000
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import tensorflow as tf


def load(folder):
    """Return the function from rows to labels with their confidence."""
    model = tf.saved_model.load(str(folder))

    def label(rows):
        probabilities = model.serve(tf.constant(np.asarray(rows, dtype="float32"))).numpy()
        best = probabilities.argmax(axis=1)
        return [{"label": int(k), "confidence": float(p[k])} for k, p in zip(best, probabilities, strict=True)]

    return label


if __name__ == "__main__":
    label = load(sys.argv[1])

    class Handler(BaseHTTPRequestHandler):
        """Answers a POST of JSON rows."""

        def do_POST(self):  # noqa: D102, N802
            rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(label(rows)).encode())

    HTTPServer(("localhost", int(sys.argv[2])), Handler).serve_forever()
