#include "runtime/assembly.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "runtime/shape_padding.h"

namespace tessera::runtime {
namespace {

// The end of `elements` length-prefixed elements that begin at `at`; nothing when the data ends before.
std::optional<std::size_t> skip_elements(std::span<const std::byte> data, std::size_t at, std::int64_t elements) {
  for (std::int64_t i = 0; i < elements; ++i) {
    if (data.size() - at < 4) {
      return std::nullopt;
    }
    std::size_t length = 0;
    for (std::size_t byte = 4; byte-- > 0;) {
      length = (length << 8) | std::to_integer<std::size_t>(data[at + byte]);
    }
    at += 4;
    if (data.size() - at < length) {
      return std::nullopt;
    }
    at += length;
  }
  return at;
}

InferResponse response_for(const Ticket& ticket) {
  const model::Instance& instance = *ticket.served->instance;
  InferResponse response;
  response.model = instance.name;
  response.version = instance.version;
  response.outputs.reserve(ticket.outputs.size());
  return response;
}

}  // namespace

void assemble(LaunchRecord& record, std::int32_t bucket) {
  const ModelSignature& signature = record.served->instance->signature;
  const bool batches = signature.max_batch_size > 0;
  Batch& batch = record.batch;
  batch.rows = 0;
  batch.bucket = bucket;
  batch.outputs.clear();
  batch.output_memory.reset();
  batch.inputs.resize(signature.inputs.size());
  for (std::size_t i = 0; i < batch.inputs.size(); ++i) {
    BatchInput& input = batch.inputs[i];
    const Ticket& first = *record.first;
    const TensorView& tensor = first.input(i);
    input.dtype = tensor.dtype;
    input.row_shape = batches ? tensor.shape.without_first() : tensor.shape;
    input.parts.clear();
    input.copied.clear();
  }
  for (const Ticket* ticket = record.first; ticket != nullptr; ticket = ticket->next) {
    batch.rows += ticket->rows;
    for (std::size_t i = 0; i < batch.inputs.size(); ++i) {
      batch.inputs[i].parts.push_back(ticket->input(i).data);
      batch.inputs[i].copied.push_back(!ticket->copied.empty() && ticket->copied[i]);
    }
  }
}

Status check_outputs(const LaunchRecord& record) {
  const model::Instance& instance = *record.served->instance;
  const ModelSignature& signature = instance.signature;
  const auto& outputs = record.batch.outputs;
  if (outputs.size() != signature.outputs.size()) {
    return internal_error("model '" + instance.name + "' gave " + std::to_string(outputs.size()) + " outputs, not " +
                          std::to_string(signature.outputs.size()));
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const TensorView& output = outputs[i];
    const auto what = [&] { return "output '" + signature.outputs[i].name + "' of model '" + instance.name + "' "; };
    if (signature.max_batch_size > 0 && (output.shape.rank() == 0 || output.shape[0] != record.batch.rows)) {
      return internal_error(what() + "has shape " + output.shape.to_string() + " for a batch of " +
                            std::to_string(record.batch.rows));
    }
    if (output.dtype != DType::kBytes) {
      const auto size = byte_size(output.dtype, output.shape);
      if (!size.ok() || *size != output.data.size()) {
        return internal_error(what() + "has " + std::to_string(output.data.size()) + " bytes for shape " +
                              output.shape.to_string());
      }
    }
  }
  return ok_status();
}

OutputSplitter::OutputSplitter(const LaunchRecord& record)
    : record_(record), whole_(record.first == nullptr || record.first->next == nullptr) {
  if (!whole_) {
    taken_.resize(record.batch.outputs.size(), 0);
  }
}

Result<std::span<const std::byte>> OutputSplitter::take(std::size_t output, std::int32_t rows) {
  const TensorView& all = record_.batch.outputs[output];
  const std::size_t from = taken_[output];
  if (all.dtype == DType::kBytes) {
    const std::int64_t elements = all.shape.without_first().elements().value_or(0) * rows;
    const auto end = skip_elements(all.data, from, elements);
    if (!end) {
      return internal_error("the engine gave malformed BYTES");
    }
    taken_[output] = *end;
  } else {
    taken_[output] += all.data.size() / static_cast<std::size_t>(record_.batch.rows) * static_cast<std::size_t>(rows);
  }
  return all.data.subspan(from, taken_[output] - from);
}

Result<InferResponse> OutputSplitter::next(const Ticket& ticket) {
  const auto& specs = record_.served->instance->signature.outputs;
  InferResponse response = response_for(ticket);
  if (!whole_) {
    // Every output is cut, wanted or not, so that the next request's rows begin where this one's end.
    std::vector<std::span<const std::byte>> cut(record_.batch.outputs.size());
    for (std::size_t i = 0; i < cut.size(); ++i) {
      TESSERA_ASSIGN_OR_RETURN(cut[i], take(i, ticket.rows));
    }
    for (const std::uint32_t wanted : ticket.outputs) {
      const TensorView& all = record_.batch.outputs[wanted];
      TensorView view{all.dtype, all.shape, cut[wanted]};
      view.shape[0] = ticket.rows;
      response.outputs.push_back({specs[wanted].name, view});
    }
  } else {
    for (const std::uint32_t wanted : ticket.outputs) {
      response.outputs.push_back({specs[wanted].name, record_.batch.outputs[wanted]});
    }
  }
  response.memory = record_.batch.output_memory;
  if (ticket.padded != nullptr) {
    TESSERA_ASSIGN_OR_RETURN(const Bytes copied, cut_outputs(ticket, response));
    copied_.value += copied.value;
  }
  response.times = {ticket.arrived, record_.launched, record_.completion.started, record_.completion.ended};
  return response;
}

InferResponse empty_response(const Ticket& ticket) {
  InferResponse response = response_for(ticket);
  for (const std::uint32_t wanted : ticket.outputs) {
    const TensorSpec& spec = ticket.served->instance->signature.outputs[wanted];
    TensorView view{spec.dtype, spec.shape.with_first(0), {}};
    for (std::size_t i = 1; i < view.shape.rank(); ++i) {
      view.shape[i] = std::max<std::int64_t>(view.shape[i], 0);
    }
    response.outputs.push_back({spec.name, view});
  }
  response.times = {ticket.arrived, ticket.arrived, ticket.arrived, ticket.arrived};
  return response;
}

}  // namespace tessera::runtime
