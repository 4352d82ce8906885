# Third-party code, one imported target tessera_external::NAME each, so that the rest of the build names no package.
# NAMEs: onnxruntime cuda_driver grpc protobuf boost json beast openssl spdlog cli11 prometheus zlib xxhash threads gmock benchmark
include_guard(GLOBAL)

find_package(PkgConfig REQUIRED)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

function(_tessera_external name)
  if(NOT TARGET tessera_external_${name})
    add_library(tessera_external_${name} INTERFACE)
  endif()
  if(NOT TARGET tessera_external::${name})
    add_library(tessera_external::${name} ALIAS tessera_external_${name})
  endif()
  target_link_libraries(tessera_external_${name} INTERFACE ${ARGN})
endfunction()

# ONNX Runtime: the shared library of the PyPI wheel with Debian's C headers, both put into .deps by scripts/setup.
set(TESSERA_DEPS "${CMAKE_SOURCE_DIR}/.deps" CACHE PATH "What scripts/setup downloaded")
set(_ort_library "${TESSERA_DEPS}/onnxruntime/lib/libonnxruntime.so.1")
set(_ort_include "${TESSERA_DEPS}/onnxruntime/include")
if(NOT EXISTS "${_ort_library}" OR NOT EXISTS "${_ort_include}/onnxruntime_c_api.h")
  message(FATAL_ERROR "ONNX Runtime is not in ${TESSERA_DEPS}: run scripts/setup first")
endif()
add_library(tessera_onnxruntime SHARED IMPORTED GLOBAL)
set_target_properties(tessera_onnxruntime PROPERTIES
  IMPORTED_LOCATION "${_ort_library}"
  IMPORTED_SONAME libonnxruntime.so.1
  INTERFACE_INCLUDE_DIRECTORIES "${_ort_include}")
_tessera_external(onnxruntime tessera_onnxruntime)

# CUDA's driver: the header alone, put into .deps by scripts/setup. The library comes with the GPU and is opened at run time.
if(NOT EXISTS "${TESSERA_DEPS}/cuda/include/cuda.h")
  message(FATAL_ERROR "CUDA's header is not in ${TESSERA_DEPS}: run scripts/setup first")
endif()
add_library(tessera_cuda_driver INTERFACE)
target_include_directories(tessera_cuda_driver SYSTEM INTERFACE "${TESSERA_DEPS}/cuda/include")
_tessera_external(cuda_driver tessera_cuda_driver ${CMAKE_DL_LIBS})

find_package(Protobuf REQUIRED)
_tessera_external(protobuf protobuf::libprotobuf)
pkg_check_modules(TESSERA_GRPC REQUIRED IMPORTED_TARGET GLOBAL grpc++)
find_program(TESSERA_GRPC_PLUGIN grpc_cpp_plugin REQUIRED)
_tessera_external(grpc PkgConfig::TESSERA_GRPC protobuf::libprotobuf Threads::Threads)

find_package(Boost 1.81 CONFIG REQUIRED COMPONENTS headers json)
_tessera_external(boost Boost::headers Threads::Threads)
_tessera_external(json Boost::json)

find_package(OpenSSL REQUIRED)
_tessera_external(openssl OpenSSL::SSL OpenSSL::Crypto)
find_package(ZLIB REQUIRED)
_tessera_external(zlib ZLIB::ZLIB)
find_package(spdlog CONFIG REQUIRED)
_tessera_external(spdlog spdlog::spdlog)
find_package(CLI11 CONFIG REQUIRED)
_tessera_external(cli11 CLI11::CLI11)
find_package(prometheus-cpp CONFIG REQUIRED)
_tessera_external(prometheus prometheus-cpp::pull)
pkg_check_modules(TESSERA_XXHASH REQUIRED IMPORTED_TARGET GLOBAL libxxhash)
_tessera_external(xxhash PkgConfig::TESSERA_XXHASH)
_tessera_external(threads Threads::Threads)

# Beast, and what of Asio its headers need (nothing else in src does: docs/decisions/032-an-event-loop-of-our-own.md), compiled
# once, in a library of their own, instead of in every source that includes them.
add_library(tessera_beast STATIC EXCLUDE_FROM_ALL "${CMAKE_SOURCE_DIR}/cmake/external/beast.cc")
target_compile_definitions(tessera_beast PUBLIC
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED)
target_link_libraries(tessera_beast PUBLIC Boost::headers Threads::Threads OpenSSL::SSL OpenSSL::Crypto)
_tessera_external(beast tessera_beast)

if(TESSERA_TESTS)
  find_package(GTest CONFIG REQUIRED)
  _tessera_external(gmock GTest::gmock GTest::gtest)
endif()
if(TESSERA_BENCH)
  find_package(benchmark CONFIG REQUIRED)
  _tessera_external(benchmark benchmark::benchmark)
endif()
