#include "engine/onnxruntime/shared_weights.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <optional>

#include "core/tensor.h"
#include "engine/onnxruntime/alignment.h"

namespace tessera::engine {
namespace {

// What vector loads like; the weights file keeps to less for its smaller tensors.
constexpr std::size_t kAlignment = 64;

}  // namespace

Result<std::unique_ptr<const SharedWeights>> SharedWeights::map(const Environment& environment,
                                                                const OptimizedFiles& files) {
  TESSERA_ASSIGN_OR_RETURN(const FileBytes graph, FileBytes::map(files.graph()));
  TESSERA_ASSIGN_OR_RETURN(const std::vector<StoredTensor> stored, read_initializers(graph.bytes()));
  std::unique_ptr<SharedWeights> weights(new SharedWeights());  // NOLINT: the constructor is private
  TESSERA_RETURN_IF_ERROR(to_status(Ort::GetApi().CreatePrepackedWeightsContainer(&weights->prepacked_), Blame::kUs));
  const auto external =
      std::find_if(stored.begin(), stored.end(), [](const StoredTensor& tensor) { return tensor.external; });
  if (external != stored.end()) {
    TESSERA_ASSIGN_OR_RETURN(weights->file_, FileBytes::map(files.folder() / external->location));
  }
  for (const StoredTensor& tensor : stored) {
    TESSERA_RETURN_IF_ERROR(weights->add(environment, tensor));
  }
  return std::unique_ptr<const SharedWeights>(std::move(weights));
}

Status SharedWeights::add(const Environment& environment, const StoredTensor& stored) {
  const auto type = static_cast<ONNXTensorElementDataType>(stored.onnx_type);
  const std::optional<DType> dtype = from_onnx_type(type);
  auto shape = Shape::from(stored.dims);
  std::span<const std::byte> data = stored.raw;
  if (stored.external) {
    const auto file = file_.bytes();
    if (stored.offset > file.size() || stored.length > file.size() - stored.offset) {
      return internal_error("initialiser '" + stored.name + "' lies outside the weights file");
    }
    data = file.subspan(stored.offset, stored.length);
  }
  // Strings, element types without a name in the protocol and values in typed fields stay ONNX Runtime's own: all
  // small, for what is large was written to the weights file.
  if (!dtype || *dtype == DType::kBytes || !shape || data.empty()) {
    return {};
  }
  TESSERA_ASSIGN_OR_RETURN(const std::size_t expected, byte_size(*dtype, *shape));
  if (expected != data.size()) {
    return internal_error("initialiser '" + stored.name + "' has " + std::to_string(data.size()) + " bytes, not " +
                          std::to_string(expected));
  }
  if (!stored.external || !is_aligned(data.data(), size_of(*dtype))) {
    data = aligned_copy(data);
  }
  auto value = guarded(Blame::kUs, [&] {
    return Ort::Value::CreateTensor(environment.cpu(), const_cast<std::byte*>(data.data()), data.size(),
                                    stored.dims.data(), stored.dims.size(), type);
  });
  if (!value) {
    return value.error();
  }
  bytes_.value += data.size();
  tensors_.push_back({stored.name, data, std::move(value).value()});
  return {};
}

std::span<const std::byte> SharedWeights::aligned_copy(std::span<const std::byte> bytes) {
  auto& copy = copies_.emplace_back(std::make_unique<std::byte[]>(bytes.size() + kAlignment));
  std::byte* at = copy.get();
  while (!is_aligned(at, kAlignment)) {
    ++at;
  }
  std::memcpy(at, bytes.data(), bytes.size());
  return {at, bytes.size()};
}

SharedWeights::~SharedWeights() {
  if (prepacked_ != nullptr) {
    Ort::GetApi().ReleasePrepackedWeightsContainer(prepacked_);
  }
}

std::vector<std::string> SharedWeights::names() const {
  std::vector<std::string> names;
  for (const Tensor& tensor : tensors_) {
    names.push_back(tensor.name);
  }
  return names;
}

std::span<const std::byte> SharedWeights::find(const std::string& name) const {
  for (const Tensor& tensor : tensors_) {
    if (tensor.name == name) {
      return tensor.bytes;
    }
  }
  return {};
}

void SharedWeights::add_to(Ort::SessionOptions& options) const {
  for (const Tensor& tensor : tensors_) {
    options.AddInitializer(tensor.name.c_str(), tensor.value);
  }
}

}  // namespace tessera::engine
