#include "server/outputs.h"

#include <algorithm>
#include <cstring>

namespace tessera::server {
namespace {

Status write_to_shared_memory(const SharedMemory& shared_memory, FinishedOutput& output) {
  const SharedMemoryRange& range = *output.shared_memory;
  const std::span<const std::byte> data = output.tensor.data;
  if (data.size() > range.byte_size) {
    return invalid_argument("shared memory size specified with the request for output '" + std::string(output.name) +
                            "' (" + std::to_string(range.byte_size) + " bytes) should be at least " +
                            std::to_string(data.size()) + " bytes to hold the results");
  }
  TESSERA_ASSIGN_OR_RETURN(const SharedMemoryView view, shared_memory.view(range));
  if (!data.empty()) {
    std::memcpy(view.bytes.data(), data.data(), data.size());
  }
  output.shared_memory->byte_size = data.size();
  return ok_status();
}

Status classify_output(const model::Instance& instance, std::uint32_t k, FinishedOutput& output) {
  static const std::vector<std::string> kNoLabels;
  const auto labels = instance.labels.find(std::string(output.name));
  TESSERA_ASSIGN_OR_RETURN(BytesTensor classes, classify(output.tensor, instance.signature.max_batch_size > 0, k,
                                                         labels != instance.labels.end() ? labels->second : kNoLabels));
  output.text = std::move(classes.data);
  output.tensor = TensorView{DType::kBytes, classes.shape, output.text};
  return ok_status();
}

}  // namespace

Result<std::vector<FinishedOutput>> finish_outputs(const InferResponse& response,
                                                   std::span<const OutputOptions> options,
                                                   const model::Instance* instance, const SharedMemory& shared_memory) {
  std::vector<FinishedOutput> finished;
  finished.reserve(response.outputs.size());
  for (const OutputTensor& source : response.outputs) {
    FinishedOutput& output = finished.emplace_back();
    output.name = source.name;
    output.tensor = source.tensor;
    const auto asked = std::find_if(options.begin(), options.end(),
                                    [&source](const OutputOptions& option) { return option.name == source.name; });
    if (asked == options.end()) {
      continue;
    }
    if (asked->classification > 0) {
      TESSERA_CHECK(instance != nullptr);
      TESSERA_RETURN_IF_ERROR(classify_output(*instance, asked->classification, output));
    }
    if (asked->shared_memory) {
      output.shared_memory = asked->shared_memory;
      TESSERA_RETURN_IF_ERROR(write_to_shared_memory(shared_memory, output));
    }
  }
  return finished;
}

}  // namespace tessera::server
