"""The instances of a node, in generations: started, watched, replaced."""
