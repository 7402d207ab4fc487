"""Published weights of others: what a file holds, its tensors under our names, and where to get one.

files: torch and safetensors files, read as weights only. vitpose: three formats of ViTPose. hrnet: the public pose
checkpoints. networks: what they become here. download: by name, on an explicit command.
"""
