"""The requests and responses of the API, as /openapi.json describes them."""

from typing import Any, Literal

from pydantic import BaseModel, Field, PositiveInt


class Error(BaseModel):
    error: str = Field(description="One sentence.")


class Prediction(BaseModel):
    label: str
    index: int
    probability: float


class Answered(BaseModel, extra="forbid"):
    """The predictions for an image, the most probable class first."""

    file: str
    predictions: list[Prediction]
    unknown: bool = Field(False, description="With min_confidence: whether the image is of none of the classes.")
    distance: float = Field(0, description="With --distance: from the training images, in standard deviations.")
    out_of_distribution: bool = Field(False, description="With --distance: whether that is above the threshold.")
    maps: list[list[list[float]]] = Field([], description="With maps=1: class activation maps [K][h][w].")
    map_classes: list[int] = Field([], description="With maps=1: the class index of each map.")
    box: list[float] = Field([], description="With maps=1: left, top, right and bottom of the crop, in pixels.")
    width: int = Field(0, description="With maps=1: width of the upright image, in pixels.")
    height: int = Field(0, description="With maps=1: height of the upright image, in pixels.")


class FoundBox(BaseModel):
    label: str
    index: int
    score: float
    box: list[float] = Field(description="Left, top, width and height in pixels of the upright image.")


class Found(BaseModel, extra="forbid"):
    """The boxes that a detector finds in an image, the best first."""

    file: str
    boxes: list[FoundBox]
    width: int = Field(0, description="With maps=1: width of the upright image, in pixels.")
    height: int = Field(0, description="With maps=1: height of the upright image, in pixels.")


class Unreadable(BaseModel, extra="forbid"):
    """The reason why a file cannot be read."""

    file: str
    error: str


class AboutModel(BaseModel):
    name: str
    task: Literal["classes", "boxes"]
    network: str
    classes: int
    size: int
    width: int = Field(description="Of the network's images, in pixels.")
    height: int = Field(description="Of the network's images, in pixels.")
    engine: str
    precision: str
    has_maps: bool
    threshold: float | None = Field(None, description="Of a detector: score below which boxes are left out.")


class AboutLimits(BaseModel):
    max_body: int = Field(description="Bytes of a request.")
    max_files: int = Field(description="Images of a request.")


class About(BaseModel):
    models: list[AboutModel]
    limits: AboutLimits


class TensorMetadata(BaseModel):
    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class InputTensor(BaseModel, strict=True):
    name: Literal["images", "pictures"] = Field(description="'pictures', its old name, works for one more release.")
    datatype: Literal["UINT8"]
    shape: list[PositiveInt] = Field(min_length=4, max_length=4, description="[N, 3, H, W]; see /v2/models/NAME.")
    data: list[Any] | None = Field(None, description="Integers from 0 to 255, as many as the shape says.")
    parameters: dict[str, Any] = {}


class OutputChoice(BaseModel, strict=True):
    name: Literal["probabilities", "maps", "map_classes", "boxes", "scores", "labels", "image"]
    parameters: dict[str, Any] = {}


class InferRequest(BaseModel, strict=True):
    id: str | None = None
    parameters: dict[str, Any] = {}
    inputs: list[InputTensor] = Field(min_length=1, max_length=1)
    outputs: list[OutputChoice] | None = None


class OutputTensor(TensorMetadata):
    parameters: dict[str, Any] = {}
    data: list[float] = []


class InferResponse(BaseModel):
    model_name: str
    id: str | None = None
    outputs: list[OutputTensor]


# The bodies that are parsed by hand, as FastAPI would describe them, and the schemas that they refer to.
_INFER = {"$ref": "#/components/schemas/InferRequest"}
INFER_BODY = {"required": True, "content": {"application/json": {"schema": _INFER}}}
_SCHEMA = InferRequest.model_json_schema(ref_template="#/components/schemas/{model}")
COMPONENTS = {**_SCHEMA.pop("$defs"), "InferRequest": _SCHEMA}
_FILES = {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}
_FORM = {"type": "object", "required": ["file"], "properties": {"file": _FILES}}
_IMAGE = {"type": "string", "format": "binary"}
PREDICT_BODY = {
    "required": True,
    "content": {"multipart/form-data": {"schema": _FORM}, "image/*": {"schema": _IMAGE}},
}

ERRORS = {
    400: "The request is malformed.",
    401: "The token is missing or wrong.",
    403: "A page of another site sent it, or it names another host.",
    404: "There is no such model.",
    408: "The request did not arrive in time.",
    413: "The request is too large or has too many images.",
    415: "The body has another type or encoding.",
    422: "A parameter has an impossible value.",
    500: "The server failed; its log says why.",
    503: "The server is busy, and Retry-After says when to try again; or a model fails.",
}


def errors(*codes: int) -> dict[int | str, dict[str, Any]]:
    """FastAPI's `responses` for these status codes."""
    return {code: {"model": Error, "description": ERRORS[code]} for code in codes}
