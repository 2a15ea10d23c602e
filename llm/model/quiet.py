"""Keep Hugging Face's progress bars out of our own tables."""

from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub.utils.tqdm import are_progress_bars_disabled
from transformers.utils import logging


@contextmanager
def quiet() -> Iterator[None]:
    """Switch progress bars off, and on again if they were on."""
    were_on = not are_progress_bars_disabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if were_on:
            logging.enable_progress_bar()
