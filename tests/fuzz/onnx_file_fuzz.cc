// The reader of ONNX files: any bytes are read or refused, and the file's outline gives what the whole file does.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>

#include "base/check.h"
#include "tests/support/outline_agreement.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static tessera::test_support::MemoryFile file;
  const auto message = std::as_bytes(std::span<const std::uint8_t>(data, size));
  file.hold(message);
  // Small sizes, too, so that short inputs have data that is left out and end in the middle of a chunk.
  for (const tessera::engine::OutlineSizes& sizes :
       {tessera::engine::OutlineSizes{}, tessera::engine::OutlineSizes{{8}, {32}}}) {
    const std::string found = tessera::test_support::disagreement(file, message, sizes);
    if (!found.empty()) std::fprintf(stderr, "%s\n", found.c_str());
    TESSERA_CHECK(found.empty());
  }
  return 0;
}
