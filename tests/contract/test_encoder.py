"""What every encoder promises, checked over every way in which OpenCLIP loads a model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image

from atlas.bundle.manifest import encode_json
from atlas.errors import EncoderError
from atlas.search.checkpoints import fingerprint
from atlas.search.encoder import EncoderChoice, OpenClipEncoder, load_encoder
from atlas.search.feed import Vectors

# isort: split
import open_clip
from safetensors.torch import load_file, save_file

Tower = Callable[[torch.Tensor], torch.Tensor]

TEXTS = ["a red-eyed frog", "frogs by a river", "a heron", "", "Pica hudsonia", "ein Moorfrosch 🐸"]
CONFIG = "open_clip_config.json"
WEIGHTS = "open_clip_model.safetensors"


def drawn_pictures() -> list[Image.Image]:
    """Noise of several shapes: wide, tall, tiny, exact."""
    generator = np.random.default_rng(7)
    shapes = [(40, 90), (120, 50), (32, 32), (5, 9), (64, 64)]
    return [
        Image.fromarray(generator.integers(0, 256, (*shape, 3), dtype=np.uint8)) for shape in shapes
    ]


def assert_unit(vectors: Vectors, rows: int, encoder: OpenClipEncoder) -> None:
    """The form that every vector has."""
    assert vectors.shape == (rows, encoder.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_vectors_are_float32_of_length_one(encoder: OpenClipEncoder, way: str) -> None:
    """Scores would not be cosines, and float16 storage would overflow, with any other length."""
    assert encoder.dim == (16 if way == "timm-tower" else 24)
    assert encoder.normalised
    assert_unit(encoder.encode_texts(TEXTS), len(TEXTS), encoder)
    assert_unit(encoder.encode_pictures(drawn_pictures()), 5, encoder)


def test_a_batch_gives_what_single_calls_give(encoder: OpenClipEncoder) -> None:
    """A row would depend on its neighbours, and order could be lost between chunks."""
    singly = np.concatenate([encoder.encode_texts([text]) for text in TEXTS])
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), singly, atol=1e-4)
    pictures = drawn_pictures()
    singly = np.concatenate([encoder.encode_pictures([picture]) for picture in pictures])
    together = encoder.encode_pictures(pictures)
    np.testing.assert_allclose(together, singly, atol=1e-4)
    assert np.array_equal(np.argmax(together @ singly.T, axis=1), np.arange(5))


def test_the_same_batch_gives_the_same_numbers(encoder: OpenClipEncoder) -> None:
    """A build that is started again would write other bytes."""
    assert np.array_equal(encoder.encode_texts(TEXTS), encoder.encode_texts(TEXTS))
    pictures = drawn_pictures()
    assert np.array_equal(encoder.encode_pictures(pictures), encoder.encode_pictures(pictures))


def test_nothing_in_gives_nothing_out(encoder: OpenClipEncoder) -> None:
    """An empty part of a build would fail in numpy instead of being empty."""
    for empty in (
        encoder.encode_texts([]),
        encoder.encode_pictures([]),
        encoder.encode_prepared(np.zeros((0, 3, 1, 1), dtype=np.uint8)),
    ):
        assert empty.shape == (0, encoder.dim)
        assert empty.dtype == np.float32


def test_long_text_is_cut_at_the_context_length(encoder: OpenClipEncoder, way: str) -> None:
    """A long question would raise, or its beginning would be lost instead of its end."""
    assert encoder.context_length == (16 if way == "timm-tower" else 77)
    words = [f"{word} frog" for word in ("red", "green", "blue", "grey")] * 40
    once, twice = encoder.encode_texts([" ".join(words[:100]), " ".join(words)])
    np.testing.assert_allclose(once, twice, atol=1e-6)


def test_texts_from_many_threads_do_not_mix(encoder: OpenClipEncoder) -> None:
    """Two requests at once would get each other's vectors, or a tokenizer error."""
    alone = encoder.encode_texts(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda i: encoder.encode_texts([TEXTS[i % 6]])[0], range(24)))
    for i, answer in enumerate(answers):
        np.testing.assert_allclose(answer, alone[i % 6], atol=1e-4)


def test_prepared_pictures_give_what_open_clip_gives(
    encoder: OpenClipEncoder, choices: dict[str, EncoderChoice], way: str
) -> None:
    """Vectors of one model made elsewhere could not be compared with ours."""
    choice = choices[way]
    model, preprocess = open_clip.create_model_from_pretrained(choice.spec, choice.pretrained)
    pictures = drawn_pictures()
    with torch.inference_mode():
        inputs = torch.stack([preprocess(picture) for picture in pictures])
        pixels = model.eval().encode_image(inputs, normalize=True).numpy()
        words = model.encode_text(open_clip.get_tokenizer(choice.spec)(TEXTS), normalize=True)
    with ThreadPoolExecutor(3) as pool:
        prepared = np.stack(list(pool.map(encoder.prepare, pictures)))
    assert prepared.dtype == np.uint8
    assert list(prepared.shape) == [5, 3, *encoder.preprocessing["size"]]
    assert np.sum(encoder.encode_prepared(prepared) * pixels, axis=1).min() >= 0.9999
    assert np.sum(encoder.encode_pictures(pictures) * pixels, axis=1).min() >= 0.9999
    assert np.sum(encoder.encode_texts(TEXTS) * words.numpy(), axis=1).min() >= 0.9999


def test_a_stream_of_batches_keeps_its_order(encoder: OpenClipEncoder) -> None:
    """Vectors would be written beside the wrong rows while two batches are in flight."""
    prepared = np.stack([encoder.prepare(picture) for picture in drawn_pictures()])
    batches = [prepared[:3], prepared[3:4], prepared[4:]]
    vectors = list(encoder.encode_batches(iter(batches)))
    assert [len(part) for part in vectors] == [3, 1, 1]
    np.testing.assert_allclose(
        np.concatenate(vectors), encoder.encode_pictures(drawn_pictures()), atol=1e-4
    )


def test_wrongly_prepared_pictures_are_refused(encoder: OpenClipEncoder) -> None:
    """Pixels of another size or scale would give vectors that look right and are not."""
    good = np.stack([encoder.prepare(picture) for picture in drawn_pictures()])
    with pytest.raises(ValueError, match="prepared pictures are uint8"):
        encoder.encode_prepared(good.astype(np.float32))
    with pytest.raises(ValueError, match="prepared pictures are uint8"):
        encoder.encode_prepared(good[:, :, 1:])
    with pytest.raises(ValueError, match="exceeds batch_size 3"):
        list(encoder.encode_batches([good]))


def test_any_colour_mode_can_be_encoded(encoder: OpenClipEncoder) -> None:
    """A grey or palette picture would stop a batch."""
    picture = drawn_pictures()[0]
    for mode in ("L", "P", "RGBA", "CMYK"):
        assert encoder.prepare(picture.convert(mode)).shape[0] == 3


def test_preprocessing_is_plain_data(encoder: OpenClipEncoder, way: str) -> None:
    """The description goes into the bundle as JSON and is compared when it is opened."""
    side = 48 if way == "timm-tower" else 32
    assert json.loads(encode_json(encoder.preprocessing)) == encoder.preprocessing
    assert encoder.preprocessing == {
        "size": [side, side],
        "mean": [0.48145466, 0.4578275, 0.40821073],
        "std": [0.26862954, 0.26130258, 0.27577711],
        "interpolation": "bicubic",
        "resize_mode": "shortest",
        "fill_color": 0,
    }


def test_the_fingerprint_outlives_the_compute_dtype(
    encoder: OpenClipEncoder, choices: dict[str, EncoderChoice], way: str
) -> None:
    """A server on a GPU would refuse the bundle that a CPU built, and the reverse."""
    choice = msgspec.structs.replace(choices[way], device="cpu", dtype="bfloat16")
    rounded = load_encoder(choice)
    assert rounded.fingerprint == encoder.fingerprint
    assert len(encoder.fingerprint) == 64
    pictures = drawn_pictures()
    cosines = np.sum(rounded.encode_pictures(pictures) * encoder.encode_pictures(pictures), axis=1)
    assert cosines.min() > 0.99
    assert_unit(rounded.encode_texts(TEXTS), len(TEXTS), rounded)
    cosines = np.sum(rounded.encode_texts(TEXTS) * encoder.encode_texts(TEXTS), axis=1)
    assert cosines.min() > 0.99


def test_one_model_by_three_ways_is_one_space(encoders: dict[str, OpenClipEncoder]) -> None:
    """A bundle built from the hub could not be served from a folder."""
    folder, hub, name, timm = encoders.values()
    assert folder.fingerprint == hub.fingerprint == name.fingerprint != timm.fingerprint
    assert np.array_equal(folder.encode_texts(TEXTS), hub.encode_texts(TEXTS))
    assert np.array_equal(folder.encode_texts(TEXTS), name.encode_texts(TEXTS))
    assert [folder.name, hub.name, name.name] == ["vit", "tiny-bioclip", "tiny-registered"]


def test_a_spelt_out_configuration_is_the_same_model(vit_folder: Path, tmp_path: Path) -> None:
    """Writing a default down, or training settings, would make the same weights look foreign."""
    copy = copied(vit_folder, tmp_path / "copy")
    change_geometry(copy, {"quick_gelu": False, "custom_text": None})
    change_geometry(copy, {"pool_type": "tok", "patch_dropout": 0.0}, tower="vision_cfg")
    assert load(copy).fingerprint == load(vit_folder).fingerprint


def test_changed_weights_have_another_fingerprint(vit_folder: Path, tmp_path: Path) -> None:
    """Vectors of a retrained model would be compared with those of the old one."""
    copy = copied(vit_folder, tmp_path / "copy")
    state = load_file(copy / WEIGHTS)
    state["ln_final.bias"][0] += 1e-3
    save_file(state, copy / WEIGHTS)
    assert load(copy).fingerprint != load(vit_folder).fingerprint


def test_changed_geometry_has_another_fingerprint(vit_folder: Path, tmp_path: Path) -> None:
    """The same tensors under another activation or head count make other vectors."""
    copy = copied(vit_folder, tmp_path / "copy")
    change_geometry(copy, {"quick_gelu": True})
    activation = load(copy).fingerprint
    change_geometry(copy, {"quick_gelu": False})
    change_geometry(copy, {"heads": 4}, tower="text_cfg")
    assert len({activation, load(copy).fingerprint, load(vit_folder).fingerprint}) == 3


def test_the_fingerprint_reads_names_shapes_and_types() -> None:
    """Tensors that swap names or shapes hold the same bytes and are another model."""
    geometry = {"embed_dim": 2, "vision_cfg": {}, "text_cfg": {}}
    numbers = torch.arange(4, dtype=torch.float32)
    states = [
        {"a": numbers, "b": numbers + 1},
        {"b": numbers, "a": numbers + 1},
        {"a": numbers.view(2, 2), "b": numbers + 1},
        {"a": numbers.view(torch.int32), "b": numbers + 1},
    ]
    assert len({fingerprint(state, geometry) for state in states}) == 4
    backwards = dict(reversed(states[0].items()))
    assert fingerprint(backwards, geometry) == fingerprint(states[0], geometry)
    halves = {name: tensor.half() for name, tensor in states[0].items()}
    assert fingerprint(halves, geometry) == fingerprint(states[0], geometry)


def test_vectors_that_are_not_numbers_are_refused(vit_folder: Path, tmp_path: Path) -> None:
    """One NaN in an index hides every true neighbour."""
    copy = copied(vit_folder, tmp_path / "copy")
    state = load_file(copy / WEIGHTS)
    state["text_projection"][0] = torch.nan
    save_file(state, copy / WEIGHTS)
    with pytest.raises(EncoderError, match="not finite"):
        load(copy).encode_texts(TEXTS)


def test_what_is_missing_is_said(vit_folder: Path, tmp_path: Path) -> None:
    """An operator would read a stack trace of a library instead of what to do."""
    bare = copied(vit_folder, tmp_path / "bare")
    (bare / WEIGHTS).unlink()
    textless = copied(vit_folder, tmp_path / "textless")
    change_geometry(textless, {"text_cfg": None})
    garbled = copied(vit_folder, tmp_path / "garbled")
    (garbled / CONFIG).write_text("{")
    torn = copied(vit_folder, tmp_path / "torn")
    (torn / WEIGHTS).write_bytes((torn / WEIGHTS).read_bytes()[:5000])
    other = copied(vit_folder, tmp_path / "other")
    change_geometry(other, {"width": 24}, tower="text_cfg")
    (tmp_path / "empty").mkdir()
    cases: list[tuple[dict[str, Any], str]] = [
        ({"spec": "ViT-B-99"}, "knows no such model.*Close names: ViT-B-"),
        ({"spec": "ViT-B-32"}, "needs `pretrained`.*laion2b_s34b_b79k"),
        ({"spec": "ViT-B-32", "pretrained": "gone.pt"}, "neither a checkpoint file nor one of"),
        ({"spec": "ViT-B-32", "pretrained": "laion2b_s34b_b79k"}, "could not be downloaded"),
        ({"spec": "hf-hub:nobody/nothing"}, "HF_HUB_OFFLINE.*hf download nobody/nothing"),
        ({"spec": "hf-hub:nobody"}, "hf-hub:owner/name"),
        ({"spec": f"local-dir:{tmp_path / 'gone'}"}, "there is no folder"),
        ({"spec": f"local-dir:{tmp_path / 'empty'}"}, f"has no {CONFIG}"),
        ({"spec": f"local-dir:{bare}"}, "has no weights"),
        ({"spec": f"local-dir:{garbled}"}, "cannot be read"),
        ({"spec": f"local-dir:{textless}"}, "has no text tower"),
        ({"spec": f"local-dir:{torn}"}, "weights or configuration cannot be read"),
        ({"spec": f"local-dir:{other}"}, "do not fit each other"),
        ({"spec": f"local-dir:{vit_folder}", "pretrained": "openai"}, "brings its own weights"),
        ({"spec": f"local-dir:{vit_folder}", "device": "cuda:99"}, "torch sees no device"),
        ({"spec": f"local-dir:{vit_folder}", "device": "toaster"}, "torch knows no device"),
        ({"spec": f"local-dir:{vit_folder}", "dtype": "int8"}, "dtype is auto, float32"),
        ({"spec": f"local-dir:{vit_folder}", "batch_size": 0}, "at least 1"),
    ]
    for arguments, message in cases:
        with pytest.raises(EncoderError, match=message) as caught:
            load_encoder(EncoderChoice(**arguments))
        assert caught.value.encoder == arguments["spec"]


def test_a_hub_model_without_weights_is_said(hub_cache: Path) -> None:
    """OpenCLIP itself only warns then, and would go on with random weights."""
    model = hub_cache / "models--tiny-owner--half-fetched"
    shutil.copytree(hub_cache / "models--tiny-owner--tiny-bioclip", model)
    next(model.rglob(WEIGHTS)).unlink()
    with pytest.raises(EncoderError, match="its weights are not in the local hub cache"):
        load_encoder(EncoderChoice(spec="hf-hub:tiny-owner/half-fetched"))


def test_a_compiled_tower_sees_one_shape(vit_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other batch size would compile the tower anew, for minutes each."""
    shapes = []

    def compile_like_torch(tower: Tower, *, dynamic: bool) -> Tower:
        assert not dynamic

        def compiled(inputs: torch.Tensor) -> torch.Tensor:
            shapes.append(len(inputs))
            return tower(inputs)

        return compiled

    monkeypatch.setattr(torch, "compile", compile_like_torch)
    spec = f"local-dir:{vit_folder}"
    compiled = load_encoder(EncoderChoice(spec=spec, device="cpu", batch_size=4, compile=True))
    vectors = compiled.encode_pictures(drawn_pictures())
    assert shapes == [4, 4]
    np.testing.assert_allclose(
        vectors, load(vit_folder).encode_pictures(drawn_pictures()), atol=1e-4
    )


def test_an_encoder_on_its_own_device_is_itself(encoder: OpenClipEncoder) -> None:
    """A build on one device would hold its model twice."""
    assert encoder.on("cpu") is encoder
    with pytest.raises(EncoderError, match="sees no device"):
        encoder.on("cuda:99")


@pytest.mark.gpu
def test_a_compiled_tower_on_a_gpu_gives_the_vectors_of_the_cpu(vit_folder: Path) -> None:
    """A build on a GPU, which compiles by itself, would make vectors of another space."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA GPU here")
    plain = load(vit_folder)
    spec = f"local-dir:{vit_folder}"
    fast = load_encoder(EncoderChoice(spec=spec, device="cuda", batch_size=4, compile="auto"))
    pictures = drawn_pictures() * 3
    cosines = np.sum(fast.encode_pictures(pictures) * plain.encode_pictures(pictures), axis=1)
    assert cosines.min() > 0.99
    assert plain.on("cuda").fingerprint == plain.fingerprint
    moved = plain.on("cuda").encode_pictures(pictures)
    assert np.sum(moved * plain.encode_pictures(pictures), axis=1).min() > 0.999


@pytest.mark.gpu
def test_a_gpu_gives_the_vectors_of_the_cpu(
    encoder: OpenClipEncoder, choices: dict[str, EncoderChoice], way: str
) -> None:
    """A server without a GPU could not search what a GPU has embedded."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA GPU here")
    pictures = drawn_pictures() * 3
    for dtype, least in (("float32", 0.9999), ("auto", 0.99)):
        choice = msgspec.structs.replace(choices[way], device="cuda", dtype=dtype)
        fast = load_encoder(choice)
        assert fast.fingerprint == encoder.fingerprint
        assert np.sum(fast.encode_texts(TEXTS) * encoder.encode_texts(TEXTS), axis=1).min() > least
        cosines = np.sum(fast.encode_pictures(pictures) * encoder.encode_pictures(pictures), axis=1)
        assert cosines.min() > least


def load(folder: Path) -> OpenClipEncoder:
    """The model of a folder on the CPU."""
    return load_encoder(EncoderChoice(spec=f"local-dir:{folder}", device="cpu"))


def copied(folder: Path, target: Path) -> Path:
    """A model folder of its own to damage."""
    return Path(shutil.copytree(folder, target))


def change_geometry(folder: Path, changes: dict[str, Any], tower: str | None = None) -> None:
    """Write into the configuration of a model folder."""
    path = folder / CONFIG
    config = json.loads(path.read_text())
    geometry = config["model_cfg"]
    (geometry if tower is None else geometry[tower]).update(changes)
    path.write_text(json.dumps(config))
