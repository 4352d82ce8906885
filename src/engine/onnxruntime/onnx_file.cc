#include "engine/onnxruntime/onnx_file.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <system_error>

#include "engine/onnxruntime/onnx_fields.h"

namespace tessera::engine {
namespace {

using Message = std::span<const std::byte>;

// Deeper nesting of graphs in attributes occurs in no model that an exporter wrote.
constexpr int kMaxGraphDepth = 32;

std::uint64_t number(const std::string& text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

Status read_external_entry(Message message, StoredTensor& out) {
  OnnxFields entry(message);
  std::string key;
  std::string value;
  while (entry.next()) {
    if (entry.field() == 1) {
      key = entry.text();
    } else if (entry.field() == 2) {
      value = entry.text();
    }
  }
  if (!entry.ok()) {
    return malformed_model();
  }
  if (key == "location") {
    out.location = value;
  } else if (key == "offset") {
    out.offset = number(value);
  } else if (key == "length") {
    out.length = number(value);
  }
  return {};
}

Status read_packed_dims(Message packed, std::vector<std::int64_t>& dims) {
  std::uint64_t value = 0;
  unsigned shift = 0;
  for (const std::byte byte : packed) {
    if (shift > 63) {
      return malformed_model();
    }
    value |= (std::to_integer<std::uint64_t>(byte) & 0x7f) << shift;
    shift += 7;
    if ((byte & std::byte{0x80}) == std::byte{0}) {
      dims.push_back(static_cast<std::int64_t>(value));
      value = 0;
      shift = 0;
    }
  }
  return {};
}

Result<StoredTensor> read_tensor(Message message) {
  StoredTensor out;
  OnnxFields tensor(message);
  while (tensor.next()) {
    switch (tensor.field()) {
      case 1:
        if (tensor.is_integer()) {
          out.dims.push_back(static_cast<std::int64_t>(tensor.integer()));
        } else {
          TESSERA_RETURN_IF_ERROR(read_packed_dims(tensor.bytes(), out.dims));
        }
        break;
      case 2:
        out.onnx_type = static_cast<std::int32_t>(tensor.integer());
        break;
      case 8:
        out.name = tensor.text();
        break;
      case 9:
        out.raw = tensor.bytes();
        break;
      case 13:
        TESSERA_RETURN_IF_ERROR(read_external_entry(tensor.bytes(), out));
        break;
      case 14:
        out.external = tensor.integer() == 1;
        break;
      default:
        break;
    }
  }
  if (!tensor.ok()) {
    return malformed_model();
  }
  return out;
}

// Calls visit(field, bytes) for every length-delimited field of a message.
template <typename Visit>
Status for_each_field(Message message, const Visit& visit) {
  OnnxFields reader(message);
  while (reader.next()) {
    TESSERA_RETURN_IF_ERROR(visit(reader.field(), reader.bytes()));
  }
  return reader.ok() ? Status() : Status(malformed_model());
}

// The same of the model's main graph.
template <typename Visit>
Status for_each_graph_field(Message model, const Visit& visit) {
  return for_each_field(
      model, [&](std::uint32_t field, Message graph) { return field == 7 ? for_each_field(graph, visit) : Status(); });
}

Result<std::string> first_text(Message message) {
  std::string name;
  TESSERA_RETURN_IF_ERROR(for_each_field(message, [&](std::uint32_t field, Message bytes) -> Status {
    if (field == 1) {
      name.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    return {};
  }));
  return name;
}

// Of a SparseTensorProto: that of its values.
Result<std::string> name_of_sparse(Message message) {
  std::string name;
  TESSERA_RETURN_IF_ERROR(for_each_field(message, [&](std::uint32_t field, Message bytes) -> Status {
    if (field == 1) {
      TESSERA_ASSIGN_OR_RETURN(StoredTensor values, read_tensor(bytes));
      name = std::move(values.name);
    }
    return {};
  }));
  return name;
}

// A TensorShapeProto.
Result<std::vector<std::int64_t>> read_shape(Message message) {
  std::vector<std::int64_t> dims;
  TESSERA_RETURN_IF_ERROR(for_each_field(message, [&](std::uint32_t field, Message bytes) -> Status {
    if (field != 1) {
      return {};
    }
    OnnxFields dim(bytes);
    std::int64_t value = -1;
    while (dim.next()) {
      if (dim.field() == 1 && dim.is_integer()) {
        value = std::max<std::int64_t>(static_cast<std::int64_t>(dim.integer()), -1);
      }
    }
    dims.push_back(value);
    return dim.ok() ? Status() : Status(malformed_model());
  }));
  return dims;
}

// A ValueInfoProto; nothing unless it declares a tensor with a type and a rank.
Result<std::optional<DeclaredTensor>> read_value_info(Message message) {
  DeclaredTensor out;
  bool has_shape = false;
  TESSERA_RETURN_IF_ERROR(for_each_field(message, [&](std::uint32_t field, Message bytes) -> Status {
    if (field == 1) {
      out.name.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    if (field != 2) {
      return {};
    }
    return for_each_field(bytes, [&](std::uint32_t kind, Message type) -> Status {
      OnnxFields tensor(type);
      while (kind == 1 && tensor.next()) {
        if (tensor.field() == 1) {
          out.onnx_type = static_cast<std::int32_t>(tensor.integer());
        } else if (tensor.field() == 2) {
          TESSERA_ASSIGN_OR_RETURN(out.dims, read_shape(tensor.bytes()));
          has_shape = true;
        }
      }
      return tensor.ok() ? Status() : Status(malformed_model());
    });
  }));
  return out.onnx_type != 0 && has_shape ? std::optional(std::move(out)) : std::nullopt;
}

// Collects locations from every tensor below a message, whatever holds it.
class LocationFinder {
 public:
  Status graph(Message message, int depth) {
    if (depth > kMaxGraphDepth) {
      return invalid_argument("the model nests graphs more than " + std::to_string(kMaxGraphDepth) + " deep");
    }
    return for_each_field(message, [&](std::uint32_t field, Message bytes) -> Status {
      switch (field) {
        case 1:
          return node(bytes, depth);
        case 5:
          return tensor(bytes);
        case 15:
          return sparse_tensor(bytes);
        default:
          return {};
      }
    });
  }
  Status function(Message message) {
    return for_each_field(message, [&](std::uint32_t field, Message bytes) -> Status {
      switch (field) {
        case 7:
          return node(bytes, 0);
        case 11:
          return attribute(bytes, 0);
        default:
          return {};
      }
    });
  }
  std::set<std::string> locations;

 private:
  Status node(Message message, int depth) {
    return for_each_field(message, [&](std::uint32_t field, Message bytes) -> Status {
      return field == 5 ? attribute(bytes, depth) : Status();
    });
  }
  Status attribute(Message message, int depth) {
    return for_each_field(message, [&](std::uint32_t field, Message bytes) -> Status {
      switch (field) {
        case 5:
        case 10:
          return tensor(bytes);
        case 6:
        case 11:
          return graph(bytes, depth + 1);
        case 22:
        case 23:
          return sparse_tensor(bytes);
        default:
          return {};
      }
    });
  }
  Status sparse_tensor(Message message) {
    return for_each_field(message, [&](std::uint32_t field, Message bytes) -> Status {
      return field == 1 || field == 2 ? tensor(bytes) : Status();
    });
  }
  Status tensor(Message message) {
    TESSERA_ASSIGN_OR_RETURN(const StoredTensor stored, read_tensor(message));
    // The location counts even where data_location does not say EXTERNAL: what a reader makes of that is its business.
    if (stored.external || !stored.location.empty()) {
      locations.insert(stored.location);
    }
    return {};
  }
};

bool is_inside(const std::filesystem::path& path, const std::filesystem::path& folder) {
  const auto [in_folder, in_path] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  (void)in_path;
  return in_folder == folder.end();
}

}  // namespace

Result<std::vector<StoredTensor>> read_initializers(Message model) {
  std::vector<StoredTensor> initializers;
  std::set<std::string> inputs;
  TESSERA_RETURN_IF_ERROR(for_each_graph_field(model, [&](std::uint32_t field, Message bytes) -> Status {
    if (field == 5) {
      TESSERA_ASSIGN_OR_RETURN(StoredTensor tensor, read_tensor(bytes));
      initializers.push_back(std::move(tensor));
    } else if (field == 11) {
      TESSERA_ASSIGN_OR_RETURN(std::string name, first_text(bytes));
      inputs.insert(std::move(name));
    }
    return {};
  }));
  std::erase_if(initializers, [&](const StoredTensor& tensor) { return inputs.count(tensor.name) != 0; });
  return initializers;
}

Result<std::optional<DeclaredSignature>> read_declared_signature(Message model) {
  std::set<std::string> initializers;
  std::vector<std::optional<DeclaredTensor>> inputs;
  std::vector<std::optional<DeclaredTensor>> outputs;
  TESSERA_RETURN_IF_ERROR(for_each_graph_field(model, [&](std::uint32_t field, Message bytes) -> Status {
    if (field == 5) {
      TESSERA_ASSIGN_OR_RETURN(StoredTensor tensor, read_tensor(bytes));
      initializers.insert(std::move(tensor.name));
    } else if (field == 15) {
      TESSERA_ASSIGN_OR_RETURN(std::string name, name_of_sparse(bytes));
      initializers.insert(std::move(name));
    } else if (field == 11 || field == 12) {
      TESSERA_ASSIGN_OR_RETURN(auto declared, read_value_info(bytes));
      (field == 11 ? inputs : outputs).push_back(std::move(declared));
    }
    return {};
  }));
  DeclaredSignature signature;
  for (const auto& input : inputs) {
    if (!input) {
      return std::optional<DeclaredSignature>();
    }
    if (initializers.count(input->name) == 0) {
      signature.inputs.push_back(*input);
    }
  }
  for (const auto& output : outputs) {
    const bool open = !output || std::any_of(output->dims.begin() + (output->dims.empty() ? 0 : 1), output->dims.end(),
                                             [](std::int64_t dim) { return dim < 0; });
    if (open) {
      return std::optional<DeclaredSignature>();
    }
    signature.outputs.push_back(*output);
  }
  return signature.outputs.empty() ? std::nullopt : std::optional(std::move(signature));
}

Result<std::vector<std::string>> external_locations(Message model) {
  LocationFinder finder;
  TESSERA_RETURN_IF_ERROR(for_each_field(model, [&](std::uint32_t field, Message bytes) -> Status {
    switch (field) {
      case 7:
        return finder.graph(bytes, 0);
      case 25:
        return finder.function(bytes);
      default:
        return {};
    }
  }));
  return std::vector<std::string>(finder.locations.begin(), finder.locations.end());
}

Status check_external_data(std::span<const std::string> locations, const std::filesystem::path& folder) {
  std::error_code failed;
  const std::filesystem::path root = std::filesystem::canonical(folder, failed);
  for (const std::string& location : locations) {
    const std::filesystem::path relative(location);
    const std::filesystem::path target = std::filesystem::weakly_canonical(root / relative, failed);
    if (failed || location.empty() || relative.is_absolute() || !is_inside(target, root) || target == root) {
      return invalid_argument("external data '" + location + "' lies outside the model's folder");
    }
    if (!std::filesystem::is_regular_file(target, failed)) {
      return invalid_argument("external data '" + location + "' is missing");
    }
  }
  return {};
}

}  // namespace tessera::engine
