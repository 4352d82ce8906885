#include "engine/onnxruntime/cuda/device_weights.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "core/tensor.h"

namespace tessera::engine {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20;

// What a model computes with, as opposed to shapes and indices, which its kernels on the host may read: those have to
// stay where ONNX Runtime puts them.
bool is_weight(ONNXTensorElementDataType type) {
  return type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT || type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16 ||
         type == ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16 || type == ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE;
}

Result<std::span<const std::byte>> bytes_of(const StoredTensor& stored, std::span<const std::byte> file) {
  if (stored.offset > file.size() || stored.length > file.size() - stored.offset) {
    return internal_error("initialiser '" + stored.name + "' lies outside the weights file");
  }
  return file.subspan(stored.offset, stored.length);
}

// Two pinned pieces, taken in turn: one is filled while the other is on its way. Owned by the loader thread.
class Uploader {
 public:
  explicit Uploader(const CudaParts& parts) : parts_(parts), stream_(parts.device.build_stream()) {}

  Status start() {
    for (auto& piece : pieces_) {
      TESSERA_ASSIGN_OR_RETURN(piece, parts_.device.staging().lease({kPiece}));
    }
    return ok_status();
  }

  Status copy(std::span<const std::byte> from, CUdeviceptr to) {
    const device::Driver& driver = parts_.driver();
    for (std::size_t at = 0; at < from.size(); at += kPiece) {
      const std::size_t size = std::min(kPiece, from.size() - at);
      std::byte* piece = pieces_[next_]->bytes().data();
      next_ = 1 - next_;
      // The piece before last has left: what is waited for is the last one, while this one is read from the file.
      std::memcpy(piece, from.data() + at, size);
      TESSERA_RETURN_IF_ERROR(wait());
      TESSERA_RETURN_IF_ERROR(
          driver.check(driver.memcpy_htod_async(to + at, piece, size, stream_), "copy weights to the card"));
    }
    return ok_status();
  }

  Status wait() {
    return parts_.driver().check(parts_.driver().stream_synchronize(stream_), "copy weights to the card");
  }

 private:
  const CudaParts& parts_;
  const CUstream stream_;
  std::array<std::unique_ptr<device::StagingBlock>, 2> pieces_;
  std::size_t next_ = 0;
};

}  // namespace

Result<std::unique_ptr<const DeviceWeights>> DeviceWeights::upload(const CudaParts& parts, SessionSource& memory,
                                                                   const OptimizedFiles& files) {
  TESSERA_ASSIGN_OR_RETURN(const FileBytes graph, FileBytes::map(files.graph()));
  TESSERA_ASSIGN_OR_RETURN(const std::vector<StoredTensor> stored, read_initializers(graph.bytes()));
  auto weights = std::make_unique<DeviceWeights>();
  FileBytes file;
  Uploader uploader(parts);
  TESSERA_RETURN_IF_ERROR(uploader.start());
  for (const StoredTensor& tensor : stored) {
    const auto type = static_cast<ONNXTensorElementDataType>(tensor.onnx_type);
    // Small ones stay in the graph's file, where shapes are derived from them.
    if (!tensor.external || tensor.length == 0 || !is_weight(type)) {
      continue;
    }
    if (file.bytes().empty()) {
      TESSERA_ASSIGN_OR_RETURN(file, FileBytes::map(files.folder() / tensor.location));
    }
    TESSERA_ASSIGN_OR_RETURN(const std::span<const std::byte> bytes, bytes_of(tensor, file.bytes()));
    TESSERA_ASSIGN_OR_RETURN(const CUdeviceptr at, memory.append(bytes.size()));
    TESSERA_RETURN_IF_ERROR(uploader.copy(bytes, at));
    auto value = guarded(Blame::kUs, [&] {
      return Ort::Value::CreateTensor(parts.allocator->info(), reinterpret_cast<void*>(at), bytes.size(),
                                      tensor.dims.data(), tensor.dims.size(), type);
    });
    if (!value) {
      return value.error();
    }
    weights->bytes_.value += bytes.size();
    weights->tensors_.push_back({tensor.name, std::move(value).value()});
  }
  TESSERA_RETURN_IF_ERROR(uploader.wait());
  return std::unique_ptr<const DeviceWeights>(std::move(weights));
}

void DeviceWeights::add_to(Ort::SessionOptions& options) const {
  for (const Tensor& tensor : tensors_) {
    options.AddInitializer(tensor.name.c_str(), tensor.value);
  }
}

}  // namespace tessera::engine
