# cmake -DFILE=program -P relocate.cmake: the program looks for its libraries in ../lib beside it, and before the system's
# folders nowhere else. It must have been built by tessera_relocatable.
file(RPATH_SET FILE "${FILE}" NEW_RPATH "$ORIGIN/../lib")
