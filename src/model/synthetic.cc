#include "model/synthetic.h"

#include <algorithm>
#include <cstring>
#include <random>

#include "model/confined_path.h"

namespace tessera::model {
namespace {

template <typename T, typename Next>
void fill(std::vector<std::byte>& bytes, Next next) {
  for (std::size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
    const T value = next();
    std::memcpy(bytes.data() + at, &value, sizeof(T));
  }
}

// Elements of one byte each, in their length-prefixed form.
std::vector<std::byte> texts(std::int64_t elements, bool empty, std::minstd_rand& random) {
  std::vector<std::byte> bytes;
  for (std::int64_t i = 0; i < elements; ++i) {
    const std::size_t start = bytes.size();
    bytes.resize(start + 4);
    if (empty) continue;
    bytes[start] = std::byte{1};
    bytes.push_back(static_cast<std::byte>('0' + random() % 10));
  }
  return bytes;
}

// Real numbers lie in [0, 1). Random integers are small, because they are often indices; those of measurements are 0.
std::vector<std::byte> values(DType dtype, std::int64_t elements, bool random_integers, std::minstd_rand& random) {
  if (dtype == DType::kBytes) {
    return texts(elements, false, random);
  }
  std::vector<std::byte> bytes(static_cast<std::size_t>(elements) * size_of(dtype));
  const auto real = [&] { return static_cast<double>(random() % 4096) / 4096; };
  switch (dtype) {
    case DType::kFp32:
      fill<float>(bytes, [&] { return static_cast<float>(real()); });
      break;
    case DType::kFp64:
      fill<double>(bytes, real);
      break;
    // Bit patterns from 0.5 up to 1.
    case DType::kFp16:
      fill<std::uint16_t>(bytes, [&] { return std::uint16_t(0x3800 | (random() & 0x3ff)); });
      break;
    case DType::kBf16:
      fill<std::uint16_t>(bytes, [&] { return std::uint16_t(0x3f00 | (random() & 0x7f)); });
      break;
    default:
      if (random_integers) {
        for (std::size_t at = 0; at < bytes.size(); at += size_of(dtype)) bytes[at] = std::byte(random() & 1);
      }
      break;
  }
  return bytes;
}

Result<std::vector<std::byte>> sample_row(const WarmupSample::Input& input, const ModelFolder& model,
                                          std::minstd_rand& random) {
  const std::int64_t elements = *input.shape.elements();
  switch (input.fill) {
    case WarmupSample::Fill::kRandom:
      return values(input.dtype, elements, true, random);
    case WarmupSample::Fill::kZero:
      if (input.dtype == DType::kBytes) return texts(elements, true, random);
      return std::vector<std::byte>(static_cast<std::size_t>(elements) * size_of(input.dtype));
    case WarmupSample::Fill::kFile:
      break;
  }
  const auto real = confine(model.root, model.folder / "warmup" / input.file);
  const auto content = real.ok() ? read_file(*real, Bytes{kMaxWarmupBytes}) : Result<std::string>(real.error());
  if (!content.ok()) {
    return content.error().in("input_data_file");
  }
  const auto bytes = std::as_bytes(std::span(content->data(), content->size()));
  const Status fits = input.dtype == DType::kBytes ? check_bytes_tensor(bytes, elements)
                      : bytes.size() == static_cast<std::size_t>(elements) * size_of(input.dtype)
                          ? ok_status()
                          : Status(invalid_argument("has " + std::to_string(bytes.size()) + " bytes instead of " +
                                                    std::to_string(elements * size_of(input.dtype))));
  if (!fits.ok()) {
    return fits.error().in("input_data_file '" + input.file + "'");
  }
  return std::vector<std::byte>(bytes.begin(), bytes.end());
}

}  // namespace

void SyntheticBatch::add(DType dtype, const Shape& row_shape, std::span<const std::byte> row, std::int32_t rows) {
  const std::size_t size = row.size() * static_cast<std::size_t>(rows);
  memory_.emplace_back(size / sizeof(Block) + 1);
  auto* start = reinterpret_cast<std::byte*>(memory_.back().data());
  for (std::int32_t i = 0; i < rows; ++i) {
    std::copy(row.begin(), row.end(), start + row.size() * static_cast<std::size_t>(i));
  }
  batch_.inputs.push_back({dtype, row_shape, {std::span<const std::byte>(start, size)}});
}

void SyntheticBatch::move_to(device::StagingPool& pool) {
  const auto room = [](std::size_t bytes) { return (bytes + sizeof(Block) - 1) / sizeof(Block) * sizeof(Block); };
  std::size_t total = 0;
  for (const BatchInput& input : batch_.inputs) {
    total += room(input.parts.front().size());
  }
  auto block = pool.lease({std::max(total, sizeof(Block))});
  if (!block.ok()) {
    return;
  }
  std::byte* at = (*block)->bytes().data();
  for (BatchInput& input : batch_.inputs) {
    auto& part = input.parts.front();
    std::copy(part.begin(), part.end(), at);
    part = {at, part.size()};
    at += room(part.size());
  }
  staged_ = *std::move(block);
  memory_.clear();
}

Shape concrete_row(const Shape& row, std::int64_t side) {
  const auto channels = [](std::int64_t dim) { return dim == 1 || dim == 3 || dim == 4; };
  // Without a batch dimension of its own a model's images have four dimensions, the first of them usually 1 or free.
  const std::size_t first = row.rank() == 4 ? 1 : 0;
  const bool image = row.rank() - first == 3 && (channels(row[first]) || channels(row[row.rank() - 1]));
  Shape shape = row;
  for (std::size_t i = 0; i < shape.rank(); ++i) {
    if (shape[i] >= 0) continue;
    shape[i] = !image ? std::min<std::int64_t>(side, 16) : i < first ? 1 : side;
  }
  return shape;
}

ModelSignature largest_shape(const ModelConfig& config) {
  ModelSignature signature = config.signature;
  if (config.shape_buckets.empty()) {
    return signature;
  }
  const auto sizes = config.shape_buckets.combinations().front();
  for (std::size_t i = 0; i < signature.inputs.size(); ++i) {
    Shape& shape = signature.inputs[i].shape;
    shape = with_sizes(shape, config.shape_buckets.inputs, i, sizes, 0);
  }
  return signature;
}

std::vector<std::vector<Shape>> shapes_in_file(const ModelConfig& config, const engine::FileSignature& file) {
  std::vector<std::vector<Shape>> shapes;
  if (config.shape_buckets.empty()) {
    return shapes;
  }
  const std::size_t batch = config.signature.max_batch_size > 0 ? 1 : 0;
  for (const auto& sizes : config.shape_buckets.combinations()) {
    std::vector<Shape>& inputs = shapes.emplace_back();
    for (std::size_t i = 0; i < file.inputs.size(); ++i) {
      inputs.push_back(with_sizes(file.inputs[i].shape, config.shape_buckets.inputs, i, sizes, batch));
    }
  }
  return shapes;
}

bool has_free_dimensions(const ModelSignature& signature) {
  return std::any_of(signature.inputs.begin(), signature.inputs.end(), [](const TensorSpec& input) {
    const auto dims = input.shape.dims();
    return std::any_of(dims.begin(), dims.end(), [](std::int64_t dim) { return dim < 0; });
  });
}

Result<SyntheticBatch> synthetic_batch(const ModelSignature& signature, std::int32_t rows, std::int32_t bucket,
                                       std::int64_t side) {
  SyntheticBatch made;
  made.batch().rows = rows;
  made.batch().bucket = bucket;
  std::minstd_rand random(1);
  std::uint64_t total = 0;
  for (const TensorSpec& input : signature.inputs) {
    const Shape row = concrete_row(input.shape, side);
    const auto elements = row.elements();
    const std::uint64_t each = std::max<std::size_t>(5, size_of(input.dtype)) * static_cast<std::uint64_t>(rows);
    const std::uint64_t count = elements ? static_cast<std::uint64_t>(*elements) : kMaxSyntheticBytes;
    if (count > kMaxSyntheticBytes / each || (total += count * each) > kMaxSyntheticBytes) {
      return Error(ErrorCode::kTooLarge, "inputs of " + std::to_string(rows) + " rows take more than " +
                                             std::to_string(kMaxSyntheticBytes) + " bytes");
    }
    made.add(input.dtype, row, values(input.dtype, *elements, false, random), rows);
  }
  return made;
}

Result<SyntheticBatch> warmup_batch(const WarmupSample& sample, const ModelFolder& model,
                                    const std::vector<std::int32_t>& buckets) {
  const auto rows = static_cast<std::int32_t>(sample.batch_size);
  const auto bucket = std::lower_bound(buckets.begin(), buckets.end(), rows);
  TESSERA_CHECK(bucket != buckets.end());
  SyntheticBatch made;
  made.batch().rows = rows;
  made.batch().bucket = *bucket;
  std::minstd_rand random(1);
  for (const auto& input : sample.inputs) {
    const auto row = sample_row(input, model, random);
    if (!row.ok()) {
      return row.error().in("model_warmup '" + sample.name + "', input '" + input.name + "'");
    }
    made.add(input.dtype, input.shape, *row, rows);
  }
  return made;
}

}  // namespace tessera::model
