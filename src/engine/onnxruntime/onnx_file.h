// What this engine must know of an ONNX file beyond what ONNX Runtime tells, or sooner than it does: where each
// initialiser's bytes lie, and what goes in and out.
// Reads the protobuf wire format directly (onnx.proto of ONNX 1.17, IR version 10), so that a file of 100 MB costs no
// parse tree.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace tessera::engine {

// One tensor that a graph carries. Views into the file's bytes.
struct StoredTensor {
  std::string name;
  std::int32_t onnx_type = 0;  // TensorProto.DataType
  std::vector<std::int64_t> dims;
  std::span<const std::byte> raw;  // raw_data; empty where the data is external or in a typed field
  bool external = false;
  std::string location;  // external: relative to the file's folder
  std::uint64_t offset = 0;
  std::uint64_t length = 0;  // 0: to the end of that file
};

// The initialisers of the main graph that no graph input of the same name can override.
// Error: kInvalidArgument where the bytes are no protobuf message of that form.
Result<std::vector<StoredTensor>> read_initializers(std::span<const std::byte> model);

// An input or output of the main graph as the file declares it.
struct DeclaredTensor {
  std::string name;
  std::int32_t onnx_type = 0;      // TensorProto.DataType
  std::vector<std::int64_t> dims;  // -1: free
};
struct DeclaredSignature {
  std::vector<DeclaredTensor> inputs;  // that a run has to be given: no initialisers
  std::vector<DeclaredTensor> outputs;
};

// Nothing where the file leaves something open that the graph may say: a type, a rank, an output's dimension beyond the
// first, or what is no tensor; or where it has no output at all. Error: as above.
Result<std::optional<DeclaredSignature>> read_declared_signature(std::span<const std::byte> model);

// Every external location that the model names anywhere (subgraphs and attributes included), each once.
Result<std::vector<std::string>> external_locations(std::span<const std::byte> model);

// Error: kInvalidArgument unless every location is a file inside `folder`, symbolic links resolved.
Status check_external_data(std::span<const std::string> locations, const std::filesystem::path& folder);

}  // namespace tessera::engine
