# Language level, warnings, sanitizers and the compiler cache, for every target of ours.
include_guard(GLOBAL)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_LINK_DEPENDS_NO_SHARED ON)

# Everything with the same flags and text compiles to the same object, whichever checkout it lies in:
# paths are made relative, so the cache serves all checkouts of one machine.
find_program(TESSERA_CCACHE ccache)
if(TESSERA_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
    env "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}" CCACHE_NOHASHDIR=1
    CCACHE_SLOPPINESS=pch_defines,time_macros "${TESSERA_CCACHE}")
endif()

add_library(tessera_compiler INTERFACE)
target_compile_options(tessera_compiler INTERFACE
  -Wall -Wextra -Wpedantic
  "-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC guesses these from inlined library code and is often wrong, differently in each version: shown, but no errors.
  target_compile_options(tessera_compiler INTERFACE
    -Wno-error=stringop-overflow -Wno-error=array-bounds -Wno-error=maybe-uninitialized -Wno-error=restrict
    -Wno-error=free-nonheap-object -Wno-error=dangling-pointer)
  if(CMAKE_UNITY_BUILD)
    # There it takes every source for a header, whose types should not be made of what only that file has.
    target_compile_options(tessera_compiler INTERFACE -Wno-subobject-linkage)
  endif()
endif()

if(TESSERA_SANITIZE)
  # Third-party sources compiled here (none of ours) are instrumented too, so that both sides agree on layouts.
  add_compile_options("-fsanitize=${TESSERA_SANITIZE}" -fno-omit-frame-pointer -fno-sanitize-recover=all -DTESSERA_SANITIZED=1)
  add_link_options("-fsanitize=${TESSERA_SANITIZE}")
  if(TESSERA_SANITIZE STREQUAL "thread")
    # Under this name protobuf's headers give maps two members more than the packaged library was built with. The standard
    # library, which asks for it as well, is told in its own way.
    add_compile_options(-U__SANITIZE_THREAD__ -D_GLIBCXX_TSAN=1)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-maybe-uninitialized)  # instrumented code misleads it even more
  endif()
endif()
if(TESSERA_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
