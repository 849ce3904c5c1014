"""{{cookiecutter.component}}, a component for Pypes."""
