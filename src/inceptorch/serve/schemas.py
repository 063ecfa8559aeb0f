"""What /openapi.json says of requests and answers. Answers are made elsewhere; these only describe them."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Error(BaseModel):
    """What went wrong."""

    error: str = Field(description="One sentence.")


class Prediction(BaseModel):
    label: str
    index: int
    probability: float


class Answered(BaseModel):
    """What an image shows, the most probable class first."""

    model_config = ConfigDict(extra="forbid")

    file: str
    predictions: list[Prediction]
    maps: list[list[list[float]]] = Field(
        [], description="With maps=1: K class activation maps of h rows of w numbers."
    )
    map_classes: list[int] = Field([], description="With maps=1: the classes that the maps are of.")
    box: list[float] = Field(
        [], description="With maps=1: left, top, right, bottom of what the network saw, in pixels."
    )
    width: int = Field(0, description="With maps=1: of the upright image, in pixels.")
    height: int = Field(0, description="With maps=1: of the upright image, in pixels.")


class Unreadable(BaseModel):
    """Why a file could not be read."""

    model_config = ConfigDict(extra="forbid")

    file: str
    error: str


class AboutModel(BaseModel):
    name: str
    network: str
    classes: int
    size: int
    engine: str
    precision: str
    has_maps: bool


class AboutLimits(BaseModel):
    max_body: int = Field(description="Bytes of a request.")
    max_files: int = Field(description="Images of a request.")


class About(BaseModel):
    models: list[AboutModel]
    limits: AboutLimits


class Status(BaseModel):
    status: Literal["ok"]


class Server(BaseModel):
    name: str
    version: str
    extensions: list[str]


class Live(BaseModel):
    live: bool


class Ready(BaseModel):
    ready: bool


class ModelReady(BaseModel):
    name: str
    ready: bool


class TensorOfModel(BaseModel):
    name: str
    datatype: str
    shape: list[int]


class ModelOfServer(BaseModel):
    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorOfModel]
    outputs: list[TensorOfModel]


class Output(BaseModel):
    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Any] = {}
    data: list[float] = []


class Inferred(BaseModel):
    model_name: str
    id: str | None = None
    outputs: list[Output]


def responses(what: Any, *codes: int) -> dict[int | str, dict[str, Any]]:
    """The answers of an operation: 200, and with a sentence all that may go wrong."""
    return {200: {"model": what}, **{code: {"model": Error, "description": ERRORS[code]} for code in codes}}


ERRORS = {
    400: "The request is malformed.",
    401: "The server wants a token, and the request has none or another.",
    404: "There is no such model.",
    408: "The request did not arrive in time.",
    413: "The request is larger than the server takes, or has more images.",
    422: "A parameter has an impossible value.",
    500: "The server failed; its log says why.",
    503: "The server has as much to do as it takes on; Retry-After says when to try again.",
}

COUNTERS: dict[str, Any] = {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Counters."}

FORM = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {
                        "type": "array",
                        "minItems": 1,
                        "items": {"type": "string", "format": "binary", "description": "An image file."},
                    }
                },
            }
        }
    },
}

TENSORS = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["inputs"],
                "properties": {
                    "id": {"type": "string"},
                    "parameters": {"type": "object"},
                    "inputs": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 1,
                        "items": {
                            "type": "object",
                            "required": ["name", "shape", "datatype", "data"],
                            "properties": {
                                "name": {"const": "images"},
                                "datatype": {"const": "UINT8"},
                                "shape": {
                                    "type": "array",
                                    "items": {"type": "integer", "minimum": 1},
                                    "minItems": 4,
                                    "maxItems": 4,
                                    "description": "[N, 3, S, S]; S as /v2/models/NAME says.",
                                },
                                "data": {
                                    "type": "array",
                                    "items": {"type": "integer", "minimum": 0, "maximum": 255},
                                    "description": "As many numbers as the shape says.",
                                },
                            },
                        },
                    },
                    "outputs": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["name"],
                            "properties": {
                                "name": {"enum": ["probabilities", "maps", "map_classes"]},
                                "parameters": {"type": "object"},
                            },
                        },
                    },
                },
            }
        }
    },
}
