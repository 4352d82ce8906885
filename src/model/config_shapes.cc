// parameters.shape_buckets: sizes for dimensions that the model leaves to its requests.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <utility>

#include "model/config_steps.h"

namespace tessera::model {
namespace {

constexpr std::size_t kMostSizes = 16;
constexpr std::size_t kMostCombinations = 16;
constexpr std::int64_t kLargestSize = std::int64_t{1} << 31;

Error wrong_buckets(const std::string& what) { return invalid_argument("parameters.shape_buckets: " + what); }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::string shown(std::string_view text) { return "'" + std::string(text.substr(0, 80)) + "'"; }

template <typename T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  return failed == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

bool is_real(DType dtype) {
  return dtype == DType::kFp16 || dtype == DType::kBf16 || dtype == DType::kFp32 || dtype == DType::kFp64;
}

// From the least to the largest finite number of the type; of integers no further than a double tells them apart.
std::pair<double, double> range_of(DType dtype) {
  constexpr double kExact = 9007199254740992.0;
  const double bits = 8.0 * static_cast<double>(size_of(dtype));
  constexpr double kLargestHalf = 65504;
  switch (dtype) {
    case DType::kFp16:
      return {-kLargestHalf, kLargestHalf};
    case DType::kBf16:  // whose largest number is a little below
    case DType::kFp32:
      return {-0x1.FEp127, 0x1.FEp127};
    case DType::kFp64:
      return {std::numeric_limits<double>::lowest(), std::numeric_limits<double>::max()};
    case DType::kBool:
      return {0, 1};
    case DType::kUint8:
    case DType::kUint16:
    case DType::kUint32:
    case DType::kUint64:
      return {0, std::min(std::exp2(bits) - 1, kExact)};
    default:
      return {std::max(-std::exp2(bits - 1), -kExact), std::min(std::exp2(bits - 1) - 1, kExact)};
  }
}

// As read_warmup() bounds it, of the shapes that it has now.
Status check_size(const WarmupSample& sample) {
  std::uint64_t all = 0;
  for (const WarmupSample::Input& input : sample.inputs) {
    const auto elements = input.shape.elements();
    const std::uint64_t each = std::max<std::size_t>(4, size_of(input.dtype)) * sample.batch_size;
    if (!elements || static_cast<std::uint64_t>(*elements) > kMaxWarmupBytes / each ||
        (all += static_cast<std::uint64_t>(*elements) * each) > kMaxWarmupBytes) {
      return wrong_buckets("model_warmup '" + sample.name + "' takes more than " + std::to_string(kMaxWarmupBytes) +
                           " bytes in shapes that there are");
    }
  }
  return ok_status();
}

// One parameter's entries, in any order but that an axis stands before what uses it.
class Reader {
 public:
  explicit Reader(const ModelSignature& signature) : signature_(signature) {
    buckets_.padding.assign(signature.inputs.size(), 0);
  }

  Status entry(std::string_view text) {
    constexpr std::string_view kPad = "pad ";
    const std::size_t equals = text.rfind('=');
    if (equals == std::string_view::npos || equals == 0) {
      return wrong_buckets(shown(text) + " is none of AXIS=SIZE|SIZE, TENSOR[DIMENSION]=AXIS, pad INPUT=VALUE");
    }
    const std::string_view left = trimmed(text.substr(0, equals));
    const std::string_view right = trimmed(text.substr(equals + 1));
    if (left.starts_with(kPad)) return padding(trimmed(left.substr(kPad.size())), right);
    return left.ends_with(']') ? place(left, right) : axis(left, right);
  }

  Result<ShapeBuckets> finish() {
    std::size_t combinations = 1;
    for (std::size_t i = 0; i < buckets_.axes.size(); ++i) {
      const auto here = [&](const ShapeBuckets::Place& place) { return place.axis == i; };
      if (std::none_of(buckets_.inputs.begin(), buckets_.inputs.end(), here)) {
        return wrong_buckets("no input has the axis " + shown(buckets_.axes[i].name));
      }
      combinations *= buckets_.axes[i].sizes.size();
      if (combinations > kMostCombinations) {
        return wrong_buckets("more than " + std::to_string(kMostCombinations) + " shapes, as the axes' sizes multiply");
      }
    }
    if (buckets_.axes.empty()) return wrong_buckets("names no axis, as in seq=32|64|128");
    for (const std::size_t input : padded_) {
      const auto here = [&](const ShapeBuckets::Place& place) { return place.tensor == input; };
      if (std::none_of(buckets_.inputs.begin(), buckets_.inputs.end(), here)) {
        return wrong_buckets("input " + shown(signature_.inputs[input].name) + " has no axis that would be padded");
      }
    }
    return std::move(buckets_);
  }

 private:
  Status axis(std::string_view name, std::string_view text) {
    if (find_axis(name)) return wrong_buckets("the axis " + shown(name) + " stands twice");
    ShapeBuckets::Axis axis{std::string(name), {}};
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find('|', begin), text.size());
      const auto size = number<std::int64_t>(trimmed(text.substr(begin, end - begin)));
      if (!size || *size < 1 || *size > kLargestSize || (!axis.sizes.empty() && *size <= axis.sizes.back())) {
        return wrong_buckets("the sizes of " + shown(name) + " are " + shown(text) +
                             ", and not positive numbers that ascend, as in 32|64|128");
      }
      axis.sizes.push_back(*size);
      begin = end + 1;
    }
    if (axis.sizes.size() > kMostSizes) {
      return wrong_buckets("the axis " + shown(name) + " has more than " + std::to_string(kMostSizes) + " sizes");
    }
    buckets_.axes.push_back(std::move(axis));
    return ok_status();
  }

  Status place(std::string_view left, std::string_view axis_name) {
    const std::size_t bracket = left.rfind('[');
    const auto dim = bracket == std::string_view::npos
                         ? std::nullopt
                         : number<std::size_t>(left.substr(bracket + 1, left.size() - bracket - 2));
    const auto axis = find_axis(axis_name);
    if (!dim) return wrong_buckets(shown(left) + " is not TENSOR[DIMENSION], as in ids[0]");
    if (!axis) return wrong_buckets("there is no axis " + shown(axis_name) + " before " + shown(left));
    const std::string_view name = left.substr(0, bracket);
    for (auto [specs, places] :
         {std::pair(&signature_.inputs, &buckets_.inputs), std::pair(&signature_.outputs, &buckets_.outputs)}) {
      for (std::size_t tensor = 0; tensor < specs->size(); ++tensor) {
        if ((*specs)[tensor].name == name) return add((*specs)[tensor], tensor, *dim, *axis, *places);
      }
    }
    return wrong_buckets("the model has no input or output " + shown(name));
  }

  static Status add(const TensorSpec& spec, std::size_t tensor, std::size_t dim, std::size_t axis,
                    std::vector<ShapeBuckets::Place>& places) {
    const std::string what = "'" + spec.name + "' is " + spec.shape.to_string();
    if (spec.dtype == DType::kBytes) return wrong_buckets("'" + spec.name + "' is of BYTES, which are not padded");
    if (dim >= spec.shape.rank()) return wrong_buckets(what + " and has no dimension " + std::to_string(dim));
    if (spec.shape[dim] >= 0) return wrong_buckets(what + ": dimension " + std::to_string(dim) + " is fixed already");
    for (const ShapeBuckets::Place& other : places) {
      if (other.tensor == tensor && other.dim == dim) {
        return wrong_buckets("dimension " + std::to_string(dim) + " of '" + spec.name + "' stands twice");
      }
    }
    places.push_back({tensor, dim, axis});
    return ok_status();
  }

  Status padding(std::string_view name, std::string_view text) {
    for (std::size_t i = 0; i < signature_.inputs.size(); ++i) {
      const TensorSpec& input = signature_.inputs[i];
      if (input.name != name) continue;
      const auto value = number<double>(text);
      const auto [least, most] = range_of(input.dtype);
      const bool holds = value && *value >= least && *value <= most &&  // and no NaN
                         (is_real(input.dtype) || *value == std::floor(*value));
      if (!padded_.insert(i).second) return wrong_buckets("the padding of " + shown(name) + " stands twice");
      if (!holds) return wrong_buckets(shown(text) + " is no value for input '" + input.name + "'");
      buckets_.padding[i] = *value;
      return ok_status();
    }
    return wrong_buckets("the model has no input " + shown(name) + " to pad");
  }

  std::optional<std::size_t> find_axis(std::string_view name) const {
    for (std::size_t i = 0; i < buckets_.axes.size(); ++i) {
      if (buckets_.axes[i].name == name) return i;
    }
    return std::nullopt;
  }

  const ModelSignature& signature_;
  ShapeBuckets buckets_;
  std::set<std::size_t> padded_;  // inputs of which it was said what they are padded with
};

}  // namespace

Result<ShapeBuckets> read_shape_buckets(const inference::ModelConfig& proto, const ModelSignature& signature) {
  const auto parameter = proto.parameters().find("shape_buckets");
  if (parameter == proto.parameters().end()) return ShapeBuckets{};
  Reader reader(signature);
  const std::string_view text = parameter->second.string_value();
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(';', begin), text.size());
    const std::string_view entry = trimmed(text.substr(begin, end - begin));
    begin = end + 1;
    if (!entry.empty()) TESSERA_RETURN_IF_ERROR(reader.entry(entry));
  }
  return reader.finish();
}

Status round_up(const ShapeBuckets& buckets, const ModelSignature& signature, WarmupSample& sample) {
  std::vector<std::int64_t> sizes(buckets.axes.size(), -1);
  for (WarmupSample::Input& input : sample.inputs) {
    for (const ShapeBuckets::Place& place : buckets.inputs) {
      if (signature.inputs[place.tensor].name != input.name) continue;
      const std::string& axis = buckets.axes[place.axis].name;
      const std::int64_t wanted = input.shape[place.dim];
      const auto size = buckets.size_for(place.axis, wanted);
      const std::string what = "model_warmup '" + sample.name + "' gives '" + input.name + "' " +
                               std::to_string(wanted) + " of " + axis + ", ";
      if (!size) return wrong_buckets(what + "which is more than its largest size");
      if (input.fill == WarmupSample::Fill::kFile && *size != wanted)
        return wrong_buckets(what + "which is none of its sizes");
      if (sizes[place.axis] >= 0 && sizes[place.axis] != *size) {
        return wrong_buckets(what + "another input " + std::to_string(sizes[place.axis]));
      }
      sizes[place.axis] = *size;
      input.shape[place.dim] = *size;
    }
  }
  return check_size(sample);
}

}  // namespace tessera::model
