"""Parameters, ports and limits: the pieces the component contract is made of. Knows nothing of graphs or servers."""
