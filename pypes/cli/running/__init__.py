"""Parts of ``pypes run``: input is cut into work (``pieces``), which a graph does in this process (``batch``) or in processes of
its own (``children``). All report in the same way (``tally``); that is shown as it goes (``progress``) and at the end
(``summary``). ``pool_option`` reads ``--pool``, and ``interruption`` sees to it that Ctrl-C ends the command.
"""
