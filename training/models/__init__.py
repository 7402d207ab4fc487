"""The networks, one module an equation group: backbones, embeddings, MLSME, SMML, head, SDTC."""
