#include "client/inputs.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>

#include "loadgen/json.h"
#include "loadgen/random.h"

namespace tessera::client {
namespace {

constexpr std::size_t kMaxInputs = 4096;
constexpr double kMaxDim = 1e12;
constexpr std::size_t kTextLength = 8;

Result<Shape> shape_of(const loadgen::Json& list, const std::string& where) {
  std::vector<std::int64_t> dims;
  for (const loadgen::Json& dim : list.items) {
    const bool whole = dim.kind == loadgen::Json::Kind::kNumber && dim.number == std::floor(dim.number);
    if (!whole || dim.number < -1 || dim.number > kMaxDim) {
      return invalid_argument(where + ": a dimension is no whole number from -1");
    }
    dims.push_back(static_cast<std::int64_t>(dim.number));
  }
  return Shape::from(dims);
}

Result<TensorSpec> input_of(const loadgen::Json& entry, const std::string& where) {
  using Kind = loadgen::Json::Kind;
  const loadgen::Json* name = entry.find("name");
  const loadgen::Json* type = entry.find("datatype");
  const loadgen::Json* shape = entry.find("shape");
  if (name == nullptr || name->kind != Kind::kText || type == nullptr || type->kind != Kind::kText ||
      shape == nullptr || shape->kind != Kind::kList) {
    return invalid_argument(where + ": an input lacks its name, datatype or shape");
  }
  const auto dtype = dtype_from_protocol_name(type->text);
  if (!dtype) {
    return unsupported(where + ": input '" + name->text + "' has the unknown type '" + type->text + "'");
  }
  TESSERA_ASSIGN_OR_RETURN(const Shape dims, shape_of(*shape, where));
  return TensorSpec{name->text, *dtype, dims};
}

bool rows_first(const Shape& shape) { return shape.rank() > 0 && shape[0] == -1; }

Result<Shape> chosen_shape(const TensorSpec& input, const Shape* choice, std::int32_t rows) {
  const std::string named = "input '" + input.name + "' of shape " + input.shape.to_string();
  if (rows > 1 && !rows_first(input.shape)) {
    return invalid_argument(named + " takes no batch of " + std::to_string(rows) + " rows");
  }
  Shape out = input.shape;
  if (choice != nullptr) {
    const bool whole = choice->rank() == input.shape.rank();
    if (!whole && !(rows_first(input.shape) && choice->rank() + 1 == input.shape.rank())) {
      return invalid_argument(named + ": --shape has " + std::to_string(choice->rank()) + " dimensions");
    }
    out = whole ? *choice : choice->with_first(rows);
    if (!out.matches(input.shape)) {
      return invalid_argument(named + ": --shape " + choice->to_string() + " does not fit");
    }
    return out;
  }
  for (std::size_t i = 0; i < out.rank(); ++i) {
    out[i] = out[i] == -1 ? (i == 0 ? rows : 1) : out[i];
  }
  return out;
}

// Little-endian, as the protocol and every machine of ours have it.
template <typename T>
void put(std::vector<std::byte>& out, T value) {
  std::byte bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.insert(out.end(), bytes, bytes + sizeof value);
}

void put_random(std::vector<std::byte>& out, DType dtype, loadgen::Random& random) {
  const double value = random.uniform();
  const auto real = static_cast<float>(value);
  switch (dtype) {
    case DType::kFp64:
      return put(out, value);
    case DType::kFp32:
      return put(out, real);
    case DType::kBf16:
      return put(out, static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(real) >> 16U));
    case DType::kFp16:  // 0.5 to 1, whose exponent is fixed
      return put(out, static_cast<std::uint16_t>(0x3800U | static_cast<unsigned>(value * 1024)));
    case DType::kBytes:
      put(out, static_cast<std::uint32_t>(kTextLength));
      for (std::size_t i = 0; i < kTextLength; ++i) {
        put(out, static_cast<char>('a' + static_cast<int>(random.uniform() * 26)));
      }
      return;
    default:
      put(out, static_cast<std::uint8_t>(value < 0.5 ? 0 : 1));
      out.resize(out.size() + size_of(dtype) - 1);
  }
}

}  // namespace

Result<ModelFacts> parse_model_metadata(std::string_view json, const std::string& model) {
  const std::string where = "the metadata of model '" + model + "'";
  TESSERA_ASSIGN_OR_RETURN(const loadgen::Json root, loadgen::parse_json(json, where));
  const loadgen::Json* inputs = root.kind == loadgen::Json::Kind::kObject ? root.find("inputs") : nullptr;
  if (inputs == nullptr || inputs->kind != loadgen::Json::Kind::kList || inputs->items.size() > kMaxInputs) {
    return invalid_argument(where + " has no list of inputs");
  }
  ModelFacts out{model, {}};
  for (const loadgen::Json& entry : inputs->items) {
    TESSERA_ASSIGN_OR_RETURN(TensorSpec input, input_of(entry, where));
    out.inputs.push_back(std::move(input));
  }
  return out;
}

Result<ShapeChoice> parse_shape_choice(std::string_view text) {
  // Names may have colons of their own.
  const std::size_t colon = text.rfind(':');
  std::vector<std::int64_t> dims;
  bool good = colon != std::string_view::npos && colon > 0;
  for (std::size_t begin = colon + 1; good && begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    std::int64_t dim = 0;
    const auto [stop, error] = std::from_chars(text.data() + begin, text.data() + end, dim);
    good = error == std::errc() && stop == text.data() + end && dim >= 0 && static_cast<double>(dim) <= kMaxDim;
    dims.push_back(dim);
    begin = end + 1;
  }
  if (!good) {
    return invalid_argument("'" + std::string(text) + "' is no shape: NAME:DIMS, such as IN:3,224,224");
  }
  TESSERA_ASSIGN_OR_RETURN(const Shape shape, Shape::from(dims));
  return ShapeChoice{std::string(text.substr(0, colon)), shape};
}

Result<std::vector<InputData>> make_inputs(const ModelFacts& model, const std::vector<ShapeChoice>& choices,
                                           std::int32_t rows, std::uint64_t seed) {
  loadgen::Random random(seed);
  std::vector<InputData> out;
  std::size_t total = 0;
  for (const TensorSpec& input : model.inputs) {
    const auto choice = std::find_if(choices.begin(), choices.end(), [&](const ShapeChoice& one) {
      return one.input == input.name || one.input == model.name + "/" + input.name;
    });
    auto shape = chosen_shape(input, choice == choices.end() ? nullptr : &choice->shape, rows);
    if (!shape.ok()) {
      return shape.error().in("model '" + model.name + "'");
    }
    const auto elements = static_cast<std::uint64_t>(shape->elements().value_or(INT64_MAX));
    const std::size_t each = input.dtype == DType::kBytes ? 4 + kTextLength : size_of(input.dtype);
    if (elements > (kMaxRequestBytes - total) / each) {
      return Error(ErrorCode::kTooLarge, "model '" + model.name + "': a request would have more than 256 MB");
    }
    total += elements * each;
    InputData data{input.name, input.dtype, *shape, {}};
    data.bytes.reserve(elements * each);
    for (std::uint64_t i = 0; i < elements; ++i) {
      put_random(data.bytes, input.dtype, random);
    }
    out.push_back(std::move(data));
  }
  return out;
}

}  // namespace tessera::client
