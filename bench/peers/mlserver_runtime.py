"""The bench's perceptron as a runtime of MLServer, in MLServer's own environment; `uri` names its ONNX file.

With onnxruntime on one thread, as on the other sides.
"""
# pyright: reportMissingImports=false, reportUntypedBaseClass=false

from typing import Any

import onnxruntime as ort
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Perceptron(MLModel):
    async def load(self) -> bool:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(self.settings.parameters.uri, options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        x: Any = self.decode(payload.inputs[0], default_codec=NumpyCodec)
        scores = self.session.run(None, {"x": x})[0]
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("y", scores)])
