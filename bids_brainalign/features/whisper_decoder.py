"""Layers of a Whisper decoder per word: the transcript read along with the audio."""

from __future__ import annotations

import math
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.features.audio import SAMPLE_RATE_HZ
from bids_brainalign.features.decoder_folder import TOKENIZER, decoder_facts
from bids_brainalign.features.dense import EncoderLayers, Windowing
from bids_brainalign.features.folders import cannot_load
from bids_brainalign.features.layer_rows import LayerRows, LazyLayers
from bids_brainalign.features.loading import placed, trained_or_random
from bids_brainalign.features.passages import Frame, Passage, Words, held, hold, passages
from bids_brainalign.features.transcript import SPACELESS, primary
from bids_brainalign.features.whisper import FRAME_S, GRID, config_and_extractor
from bids_brainalign.features.windows import window_starts


class WhisperDecoder:
    """A Whisper decoder that reads a given transcript while its encoder hears the audio.

    Parameters
    ----------
    folder : Path
        With ``config.json``, ``preprocessor_config.json``, ``generation_config.json``,
        ``tokenizer.json`` and ``model.safetensors``.
    untrained_seed : int, optional
        Build the same architecture with random weights from this seed instead of the trained ones.
    device : str
        A torch device.
    precision : str
        ``fp32``, ``bf16`` or ``fp16``; weights stored as float16 run in float32 unless asked.

    Notes
    -----
    A word's state is the mean over its tokens of the state at the token itself, that is after
    reading it (Goldstein et al. 2025, Nat Hum Behav: "language embeddings"). The state one
    position earlier, which predicts the token, is not offered. Punctuation that the transcript
    writes to a word is among its tokens. Layer numbers are those of ``decoder_hidden_states`` in
    transformers: 0 is the input of the first block (token and position embeddings, no audio), the
    last one includes the final LayerNorm. The decoder looks back at words only, but the encoder
    has heard the whole window: states hear the future of the audio.
    """

    def __init__(
        self,
        folder: Path,
        *,
        untrained_seed: int | None = None,
        device: str = "cpu",
        precision: str = "fp32",
    ) -> None:
        from tokenizers import Tokenizer
        from transformers import WhisperModel

        self.folder, self.facts = folder, decoder_facts(folder)
        config, self.extractor = config_and_extractor(folder)
        try:
            self.tokenizer: Any = Tokenizer.from_file(str(folder / TOKENIZER))
        except Exception as error:  # tokenizers raises Exception itself
            raise cannot_load(folder, error) from error
        # A transcript that happens to hold "<|endoftext|>" is text.
        self.tokenizer.encode_special_tokens = True
        model = trained_or_random(WhisperModel, folder, config, untrained_seed=untrained_seed)
        model, self.device, self.dtype = placed(model, device=device, precision=precision)
        self.encoder, self.decoder = model.encoder, model.decoder
        self.window_frames = int(config.max_source_positions)

    def extract(
        self,
        wave: NDArray[np.float32],
        table: pd.DataFrame,
        *,
        language: str,
        windowing: Windowing,
        scratch: IO[bytes] | None = None,
    ) -> EncoderLayers:
        """Read the words of a stimulus in its audio windows.

        Parameters
        ----------
        wave : ndarray of shape (n_samples,), float32
            16 kHz.
        table : DataFrame
            ``onset`` (s), ``duration`` (s), ``label``, in the order of the onsets.
        language : str
            BCP-47; an English-only model reads English.
        windowing : Windowing
            Its ``hop_s`` says how the model's own windows lie on the stimulus.
        scratch : binary file, optional
            For layers too large for memory, see ``layer_rows.LayerRows``.

        Returns
        -------
        EncoderLayers
            A frame per change of word, to be held until the next one; zero between words.

        Raises
        ------
        BrainAlignError
            The model does not know the language (65).
        """
        words = self.words(table, language=language)
        duration_s, window_s = len(wave) / SAMPLE_RATE_HZ, self.window_frames * FRAME_S
        starts = window_starts(
            max(1, math.ceil(len(wave) / GRID.stride)),
            window=self.window_frames,
            hop=round(windowing.hop_s / FRAME_S),
        ).astype(np.float64)
        widths = [self.facts.n_dims] * self.facts.n_layers
        states = LayerRows(len(words.tokens), scratch, widths=widths)
        past = future = 0.0
        for passage in passages(words, self.frame(language), starts * FRAME_S, window_s=window_s):
            read = self.read(wave, passage)
            heard_from = min(passage.start_s, float(words.onset_s[passage.first_word]))
            heard_to = min(passage.start_s + window_s, duration_s)
            for word, first, stop in passage.spans:
                states.write(word, [layer[first:stop].mean(axis=0)[None] for layer in read])
                past = max(past, float(words.offset_s[word]) - heard_from)
                future = max(future, heard_to - float(words.onset_s[word]))
        owner, times = hold(words, duration_s=duration_s)
        layers = states.layers()
        return EncoderLayers(
            LazyLayers(len(layers), lambda i: held(layers[i], owner)), times, past, future
        )

    def words(self, table: pd.DataFrame, *, language: str) -> Words:
        """Turn the labels into tokens, each word by itself."""
        onset = table["onset"].to_numpy(np.float64)
        space = "" if primary(language) in SPACELESS else " "
        labels = [" ".join(str(label).split()) for label in table["label"]]
        return Words(
            onset,
            onset + table["duration"].to_numpy(np.float64),
            tuple(
                tuple(self.tokenizer.encode(space + label, add_special_tokens=False).ids)
                if label
                else ()
                for label in labels
            ),
        )

    def frame(self, language: str) -> Frame:
        """Tokens before the words; English-only models know neither language nor task."""
        names, tag = ["<|startoftranscript|>"], primary(language)
        if tag not in (self.facts.languages or ("en",)):
            known = f"{len(self.facts.languages)} languages" if self.facts.languages else "English"
            raise BrainAlignError(
                f"The decoder of {self.folder} reads {known}, but not {language!r}.",
                fix="give the language of the stimuli (--language, or a column language of "
                "stimuli.tsv), use another Whisper, or leave out --decoder-features",
            )
        if self.facts.languages:
            names += [f"<|{tag}|>", "<|transcribe|>"]
        names += ["<|notimestamps|>", "<|startofprev|>"]
        *start, previous = (self.tokenizer.token_to_id(name) for name in names)
        if previous is None or None in start:
            raise cannot_load(self.folder, ValueError(f"its {TOKENIZER} is not Whisper's"))
        return Frame(previous, tuple(start), self.facts.max_tokens)

    def read(self, wave: NDArray[np.float32], passage: Passage) -> list[NDArray[np.float32]]:
        """Give every layer's states of one passage: arrays of shape (n_tokens, n_dims)."""
        first = round(passage.start_s * SAMPLE_RATE_HZ)
        inputs = self.extractor(
            wave[first : first + GRID.n_samples(self.window_frames)],
            sampling_rate=SAMPLE_RATE_HZ,
            return_tensors="pt",
            padding="max_length",
            max_length=GRID.n_samples(self.window_frames),
            truncation=True,
        ).input_features
        with torch.inference_mode():
            heard = self.encoder(inputs.to(self.device, self.dtype)).last_hidden_state
            output = self.decoder(
                input_ids=torch.tensor([passage.tokens], device=self.device),
                encoder_hidden_states=heard,
                output_hidden_states=True,
                use_cache=False,
            )
        return [state[0].float().cpu().numpy() for state in output.hidden_states]
