"""The bench's perceptron behind LitServe, in LitServe's own environment: litserve_server.py GRAPH PORT.

With onnxruntime on one thread, which is quicker than torch here; all else as LitServe has it by default for a CPU (its
`fast_queue` and its batching were no quicker).
"""
# pyright: basic, reportMissingImports=false

import sys

import litserve
import numpy as np
import onnxruntime as ort


class Perceptron(litserve.LitAPI):
    def setup(self, device: str) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])

    def decode_request(self, request, **_):  # an annotation would be taken for a form of the body
        return np.asarray([request["input"]], dtype="float32")

    def predict(self, x, **_):
        return self.session.run(None, {"x": x})[0]

    def encode_response(self, output, **_):
        return {"output": output[0].tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Perceptron(), accelerator="cpu")
    server.run(port=int(sys.argv[2]), host="127.0.0.1", generate_client_file=False, log_level="warning")
