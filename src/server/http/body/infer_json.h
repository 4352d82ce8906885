// The JSON of an inference request, read as its bytes arrive: no document is built, `data` goes straight into tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/request.h"
#include "core/shape.h"
#include "server/http/body/tensor_builder.h"
#include "server/outputs.h"
#include "server/parameters.h"

namespace tessera::server::http {

inline constexpr std::size_t kMaxJsonDepth = 32;
inline constexpr std::size_t kMaxTensorsPerRequest = 1024;  // inputs, and outputs likewise
inline constexpr std::size_t kMaxNameBytes = 1024;
inline constexpr std::size_t kMaxIdBytes = 4096;
inline constexpr std::size_t kMaxNumberBytes = 512;  // digits of one number

// One entry of `inputs`.
struct JsonInput {
  std::string name;
  std::optional<DType> dtype;
  std::optional<Shape> shape;
  std::optional<std::uint64_t> binary_size;
  SharedMemoryParameters shared_memory;
  std::optional<TensorBuilder> data;
};

// What the JSON said. Names are not checked against anything yet.
struct JsonRequest {
  std::string id;
  std::vector<JsonInput> inputs;
  std::vector<OutputOptions> outputs;
  bool binary_output = false;  // binary_data_output
};

// Owned by one connection.
class InferJson {
 public:
  // Parameters go into `request`. `lease` outlives this object.
  InferJson(InferRequest& request, const Lease& lease, std::size_t max_tensor_bytes);
  ~InferJson();
  InferJson(const InferJson&) = delete;
  InferJson& operator=(const InferJson&) = delete;

  // Errors: kInvalidArgument for malformed JSON (with the place) and for what the fields say; those of the lease.
  Status feed(std::string_view text);
  // The text is complete.
  Status finish();

  JsonRequest& result();

 private:
  class Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace tessera::server::http
