"""The bus as Faust's worker sees it."""
