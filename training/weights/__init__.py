"""Published weights of others: what a file holds, its tensors under our names, and where to get one.

files: torch and safetensors files, read as weights only. vitpose, hrnet: the published formats. networks: what they
become here. show, download: the command `python -m training.weights`.
"""
