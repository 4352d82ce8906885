#include "runtime/admission.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <string_view>

namespace tessera::runtime {
namespace {

constexpr std::uint32_t kMissing = std::numeric_limits<std::uint32_t>::max();

// One request against its model's signature. Lives for one call of admit().
class Check {
 public:
  Check(const InferRequest& request, Ticket& ticket)
      : request_(request),
        ticket_(ticket),
        instance_(*ticket.served->instance),
        signature_(instance_.signature),
        batches_(signature_.max_batch_size > 0) {}

  Status run() {
    TESSERA_RETURN_IF_ERROR(sort_outputs());
    TESSERA_RETURN_IF_ERROR(sort_inputs());
    for (std::size_t i = 0; i < signature_.inputs.size(); ++i) {
      TESSERA_RETURN_IF_ERROR(check_dtype(i));
    }
    TESSERA_RETURN_IF_ERROR(find_rows());
    for (std::size_t i = 0; i < signature_.inputs.size(); ++i) {
      TESSERA_RETURN_IF_ERROR(check_shape(i));
      TESSERA_RETURN_IF_ERROR(check_data(i));
    }
    TESSERA_RETURN_IF_ERROR(find_sizes());
    TESSERA_RETURN_IF_ERROR(find_urgency());
    ticket_.shape = ticket_.served->dynamic_shapes ? shape_class() : ShapeId{0};
    return ok_status();
  }

 private:
  Error refuse(std::string text) const {
    return invalid_argument("[request id: " + (request_.id.empty() ? "<id_unknown>" : request_.id) + "] " +
                            std::move(text));
  }
  std::string for_model() const { return " for model '" + instance_.name + "'"; }

  static std::uint32_t position(const std::vector<TensorSpec>& specs, std::string_view name) {
    for (std::size_t i = 0; i < specs.size(); ++i) {
      if (specs[i].name == name) {
        return static_cast<std::uint32_t>(i);
      }
    }
    return kMissing;
  }
  const TensorView& input(std::size_t i) const { return request_.inputs[ticket_.inputs[i]].tensor; }

  Status sort_outputs() {
    ticket_.outputs.clear();
    if (request_.outputs.empty()) {
      for (std::size_t i = 0; i < signature_.outputs.size(); ++i) {
        ticket_.outputs.push_back(static_cast<std::uint32_t>(i));
      }
      return ok_status();
    }
    // Checked before anything grows with the list, which a peer may have made long.
    if (request_.outputs.size() > signature_.outputs.size()) {
      return refuse_outputs();
    }
    for (const std::string& name : request_.outputs) {
      const std::uint32_t at = position(signature_.outputs, name);
      if (at == kMissing || std::count(ticket_.outputs.begin(), ticket_.outputs.end(), at) != 0) {
        return refuse_outputs();
      }
      ticket_.outputs.push_back(at);
    }
    return ok_status();
  }

  // One of the outputs asked for is unknown, or asked for twice.
  Error refuse_outputs() const {
    std::vector<bool> seen(signature_.outputs.size(), false);
    for (const std::string& name : request_.outputs) {
      const std::uint32_t at = position(signature_.outputs, name);
      if (at == kMissing) {
        return refuse("unexpected inference output '" + name + "'" + for_model());
      }
      if (seen[at]) {
        return refuse("inference output '" + name + "' is asked for more than once" + for_model());
      }
      seen[at] = true;
    }
    return refuse("too many inference outputs" + for_model());
  }

  Status sort_inputs() {
    const auto& wanted = signature_.inputs;
    if (request_.inputs.size() < wanted.size()) {
      return refuse_missing();
    }
    ticket_.inputs.assign(wanted.size(), kMissing);
    for (std::size_t i = 0; i < request_.inputs.size(); ++i) {
      const std::string& name = request_.inputs[i].name;
      const std::uint32_t at = position(wanted, name);
      if (at == kMissing) {
        return refuse("unexpected inference input '" + name + "'" + for_model());
      }
      if (ticket_.inputs[at] != kMissing) {
        return refuse("inference input '" + name + "' is given more than once" + for_model());
      }
      ticket_.inputs[at] = static_cast<std::uint32_t>(i);
    }
    return ok_status();
  }

  Error refuse_missing() const {
    std::string got;
    std::string missing;
    const auto append = [](std::string& list, const std::string& name) {
      list += (list.empty() ? "'" : ",'") + name + "'";
    };
    for (const InputTensor& given : request_.inputs) {
      append(got, given.name);
    }
    for (const TensorSpec& wanted : signature_.inputs) {
      if (std::none_of(request_.inputs.begin(), request_.inputs.end(),
                       [&](const InputTensor& given) { return given.name == wanted.name; })) {
        append(missing, wanted.name);
      }
    }
    return refuse("expected " + std::to_string(signature_.inputs.size()) + " inputs but got " +
                  std::to_string(request_.inputs.size()) + " inputs" + for_model() + ". Got input(s) [" + got +
                  "], but missing required input(s) [" + missing + "]. Please provide all required input(s).");
  }

  Status check_dtype(std::size_t i) const {
    const TensorSpec& wanted = signature_.inputs[i];
    if (input(i).dtype == wanted.dtype) {
      return ok_status();
    }
    return refuse("inference input '" + wanted.name + "' data-type is '" + std::string(protocol_name(input(i).dtype)) +
                  "', but model '" + instance_.name + "' expects '" + std::string(protocol_name(wanted.dtype)) + "'");
  }

  Status find_rows() {
    ticket_.rows = 1;
    if (!batches_) {
      return ok_status();
    }
    std::optional<std::int64_t> rows;
    for (std::size_t i = 0; i < signature_.inputs.size(); ++i) {
      const Shape& shape = input(i).shape;
      if (shape.rank() == 0) {
        return refuse_shape(i);
      }
      if (rows && shape[0] != *rows) {
        return refuse("input '" + signature_.inputs[i].name + "' batch size does not match other inputs" + for_model());
      }
      rows = shape[0];
    }
    if (rows.value_or(1) > signature_.max_batch_size) {
      return refuse("inference request batch-size must be <= " + std::to_string(signature_.max_batch_size) + " for '" +
                    instance_.name + "'");
    }
    ticket_.rows = static_cast<std::int32_t>(std::max<std::int64_t>(rows.value_or(1), 0));
    return ok_status();
  }

  Status check_shape(std::size_t i) const {
    const Shape& given = input(i).shape;
    const Shape& wanted = signature_.inputs[i].shape;
    const std::size_t skip = batches_ ? 1 : 0;
    bool fits = given.rank() == wanted.rank() + skip;
    for (std::size_t d = 0; fits && d < given.rank(); ++d) {
      fits = given[d] >= 0 && (d < skip || wanted[d - skip] == -1 || given[d] == wanted[d - skip]);
    }
    return fits ? ok_status() : Status(refuse_shape(i));
  }

  Error refuse_shape(std::size_t i) const {
    const Shape& wanted = signature_.inputs[i].shape;
    return refuse("unexpected shape for input '" + signature_.inputs[i].name + "'" + for_model() + ". Expected " +
                  (batches_ && wanted.rank() < Shape::kMaxRank ? wanted.with_first(-1) : wanted).to_string() +
                  ", got " + input(i).shape.to_string());
  }

  Status check_data(std::size_t i) const {
    const TensorView& tensor = input(i);
    const std::string& name = signature_.inputs[i].name;
    const auto elements = tensor.shape.elements();
    if (!elements) {
      return refuse("shape " + tensor.shape.to_string() + " of input '" + name + "'" + for_model() + " is too large");
    }
    if (tensor.dtype == DType::kBytes) {
      const Status checked = check_bytes_tensor(tensor.data, *elements);
      return checked.ok() ? ok_status()
                          : Status(refuse("input '" + name + "'" + for_model() + ": " + checked.error().message()));
    }
    const auto bytes = byte_size(tensor.dtype, tensor.shape);
    if (!bytes.ok()) {
      return refuse("input '" + name + "'" + for_model() + ": " + bytes.error().message());
    }
    if (tensor.data.size() != *bytes) {
      return refuse("input byte size mismatch for input '" + name + "'" + for_model() + ". Expected " +
                    std::to_string(*bytes) + ", got " + std::to_string(tensor.data.size()));
    }
    return ok_status();
  }

  // By axis of the model's shape buckets: what its inputs have, and the bucket that holds it.
  Status find_sizes() {
    const ShapeBuckets& buckets = instance_.config.shape_buckets;
    ticket_.given_sizes.assign(buckets.axes.size(), -1);
    ticket_.bucket_sizes.clear();
    for (const ShapeBuckets::Place& place : buckets.inputs) {
      const std::int64_t size = input(place.tensor).shape[place.dim + (batches_ ? 1 : 0)];
      std::int64_t& given = ticket_.given_sizes[place.axis];
      if (given >= 0 && given != size) {
        return refuse("input '" + signature_.inputs[place.tensor].name + "'" + for_model() + " has " +
                      std::to_string(size) + " of " + buckets.axes[place.axis].name + ", another input " +
                      std::to_string(given));
      }
      given = size;
    }
    for (std::size_t axis = 0; axis < buckets.axes.size(); ++axis) {
      const auto size = buckets.size_for(axis, ticket_.given_sizes[axis]);
      if (!size) {
        return refuse("the inputs" + for_model() + " have " + std::to_string(ticket_.given_sizes[axis]) + " of " +
                      buckets.axes[axis].name + ", more than its largest shape bucket, " +
                      std::to_string(buckets.axes[axis].sizes.back()));
      }
      ticket_.bucket_sizes.push_back(*size);
    }
    return ok_status();
  }

  Status find_urgency() {
    const sched::ModelParams& params = instance_.config.params;
    ticket_.priority = request_.priority;
    if (request_.priority > params.priority_levels) {
      // A model that configures no levels has nothing to order by, and takes any.
      if (params.priority_levels > 1) {
        return refuse("priority " + std::to_string(request_.priority) + " is out of range" + for_model() +
                      ". Expected 0 (the default) to " + std::to_string(params.priority_levels));
      }
      ticket_.priority = 0;
    }
    ticket_.timeout.reset();
    if (request_.timeout && *request_.timeout > std::chrono::microseconds::zero()) {
      const bool endless = *request_.timeout >= std::chrono::duration_cast<std::chrono::microseconds>(kForever);
      ticket_.timeout = endless ? kForever : Duration(*request_.timeout);
    }
    return ok_status();
  }

  ShapeId shape_class() const {
    constexpr std::size_t kAtOnce = 256;
    std::array<std::int64_t, kAtOnce> few;
    std::vector<std::int64_t> many;
    std::size_t count = 0;
    for (std::size_t i = 0; i < signature_.inputs.size(); ++i) {
      count += input(i).shape.rank();
    }
    if (count > kAtOnce) {
      many.resize(count);
    }
    const std::span<std::int64_t> dims = count > kAtOnce ? std::span(many) : std::span(few).first(count);
    std::size_t at = 0;
    for (std::size_t i = 0; i < signature_.inputs.size(); ++i) {
      const Shape shape =
          with_sizes(input(i).shape, instance_.config.shape_buckets.inputs, i, ticket_.bucket_sizes, batches_ ? 1 : 0);
      at = ShapeTable::put_row(shape, dims, at);
    }
    return ticket_.served->shapes.intern(dims);
  }

  const InferRequest& request_;
  Ticket& ticket_;
  const model::Instance& instance_;
  const ModelSignature& signature_;
  const bool batches_;
};

}  // namespace

Status admit(const InferRequest& request, Ticket& ticket) { return Check(request, ticket).run(); }

Error unknown_model(std::string_view model) {
  return not_found("Request for unknown model: '" + std::string(model) + "' is not found");
}

}  // namespace tessera::runtime
