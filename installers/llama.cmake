# Read by CMake right after llama-cpp-python's project() line. Its CMakeLists forces llama.cpp's "common" library on,
# which only the command line tools use: about a quarter of the compile time. A plain variable outranks the cache entry.
set(LLAMA_BUILD_COMMON OFF)
