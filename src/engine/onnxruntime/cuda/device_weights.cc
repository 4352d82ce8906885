#include "engine/onnxruntime/cuda/device_weights.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "core/tensor.h"
#include "engine/onnxruntime/cuda/replicas.h"

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

// Those of the graph that are given to sessions. Small ones stay in the graph's file, where shapes are derived from
// them.
Result<std::vector<StoredTensor>> given_weights(const OptimizedFiles& files) {
  TESSERA_ASSIGN_OR_RETURN(const FileBytes graph, FileBytes::map(files.graph()));
  TESSERA_ASSIGN_OR_RETURN(std::vector<StoredTensor> stored, read_initializers(graph.bytes()));
  std::erase_if(stored, [](const StoredTensor& tensor) {
    return !tensor.external || tensor.length == 0 ||
           !is_weight(static_cast<ONNXTensorElementDataType>(tensor.onnx_type));
  });
  return stored;
}

}  // namespace

Result<std::unique_ptr<const DeviceWeights>> DeviceWeights::make(const CudaParts& parts, SessionSource& memory,
                                                                 const OptimizedFiles& files,
                                                                 const ReplicaSet& replicas) {
  TESSERA_ASSIGN_OR_RETURN(const std::vector<StoredTensor> stored, given_weights(files));
  std::unique_ptr<DeviceWeights> weights(
      new DeviceWeights(*parts.gpu, std::as_const(memory).region()));  // NOLINT: private
  for (const StoredTensor& tensor : stored) {
    TESSERA_ASSIGN_OR_RETURN(const CUdeviceptr at, memory.append(tensor.length));
    auto value = guarded(Blame::kUs, [&] {
      return Ort::Value::CreateTensor(parts.allocator->info(), reinterpret_cast<void*>(at), tensor.length,
                                      tensor.dims.data(), tensor.dims.size(),
                                      static_cast<ONNXTensorElementDataType>(tensor.onnx_type));
    });
    if (!value) {
      return value.error();
    }
    weights->bytes_.value += tensor.length;
    weights->tensors_.push_back({tensor.name, at, tensor.length, std::move(value).value()});
  }
  const TimePoint begin = now();
  const Status copied = replicas.read(*parts.gpu, [&](const DeviceWeights& other) {
    Status done = weights->copy_from(other, parts);
    if (done.ok()) {
      log(LogLevel::kInfo, "weights came from another replica",
          {{"gpu", std::int64_t{parts.gpu->ordinal()}},
           {"from_gpu", std::int64_t{other.gpu().ordinal()}},
           {"bytes", static_cast<std::int64_t>(weights->bytes_.value)},
           {"us", (now() - begin).count() / 1000}});
    }
    return done;
  });
  if (!copied.ok()) {
    if (copied.error().code() != ErrorCode::kNotFound) {
      log(LogLevel::kInfo, "weights come from the file: another replica's cannot be had",
          {{"reason", copied.error().message()}});
    }
    TESSERA_RETURN_IF_ERROR(weights->copy_from(stored, files, parts));
  }
  return std::unique_ptr<const DeviceWeights>(std::move(weights));
}

// Both were made from the same files, so each tensor stands in the same place.
Status DeviceWeights::copy_from(const DeviceWeights& other, const CudaParts& parts) const {
  const device::Driver& driver = parts.driver();
  const auto same = [](const Tensor& a, const Tensor& b) { return a.name == b.name && a.size == b.size; };
  if (!std::equal(tensors_.begin(), tensors_.end(), other.tensors_.begin(), other.tensors_.end(), same)) {
    return internal_error("another replica has other weights");
  }
  TESSERA_RETURN_IF_ERROR(other.region_.open_to(gpu_));
  Status begun;
  for (std::size_t i = 0; i < tensors_.size() && begun.ok(); ++i) {
    begun = driver.check(
        driver.memcpy_dtod_async(tensors_[i].at, other.tensors_[i].at, tensors_[i].size, parts.device.build_stream()),
        "copy weights from another replica");
  }
  // Also where one could not be begun: the other replica may go as soon as this returns.
  const Status ended =
      driver.check(driver.stream_synchronize(parts.device.build_stream()), "copy weights from another replica");
  return begun.ok() ? ended : begun;
}

Status DeviceWeights::copy_from(const std::vector<StoredTensor>& stored, const OptimizedFiles& files,
                                const CudaParts& parts) const {
  FileBytes file;
  Uploader uploader(parts);
  TESSERA_RETURN_IF_ERROR(uploader.start());
  for (std::size_t i = 0; i < stored.size(); ++i) {
    if (file.bytes().empty()) {
      TESSERA_ASSIGN_OR_RETURN(file, FileBytes::map(files.folder() / stored[i].location));
    }
    TESSERA_ASSIGN_OR_RETURN(const std::span<const std::byte> bytes, bytes_of(stored[i], file.bytes()));
    TESSERA_RETURN_IF_ERROR(uploader.copy(bytes, tensors_[i].at));
  }
  return uploader.wait();
}

void DeviceWeights::add_to(Ort::SessionOptions& options) const {
  for (const Tensor& tensor : tensors_) {
    options.AddInitializer(tensor.name.c_str(), tensor.value);
  }
}

}  // namespace tessera::engine
