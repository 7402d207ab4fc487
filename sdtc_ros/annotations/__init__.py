"""Annotated people in files: PoseTrack17, 18 and 21, HiEve; read for evaluation and training, written by the replay."""
