"""Background processes: training, export, chat, evaluation. Here torch and llama.cpp may load; Qt never."""
