#include "engine/onnxruntime/cuda/captured_plan.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "base/check.h"
#include "device/cuda/graph_audit.h"
#include "device/cuda/host_tables.h"

namespace tessera::engine {
namespace {

std::size_t room_for(const std::vector<BoundTensor>& tensors, std::int32_t rows) {
  std::size_t room = 0;
  for (const BoundTensor& tensor : tensors) {
    room += batch_aligned(tensor.bytes(rows));
  }
  return room;
}

std::uint64_t address_of(const std::byte* at) { return reinterpret_cast<std::uint64_t>(at); }

int fewest_processors(const DeviceShape& shape) {
  int fewest = shape.processors_in(shape.whole());
  for (const Slice& slice : shape.ladder) {
    fewest = std::min(fewest, shape.processors_in(slice));
  }
  return fewest;
}

// A run that ended well but cannot be captured waits for the card, or asks for what has no place in a graph.
Error of_capture(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kOutOfMemory:
    case ErrorCode::kResourceExhausted:
    case ErrorCode::kDeviceLost:
      return error;
    default:
      return unsupported("its run cannot be captured: " + error.message());
  }
}

}  // namespace

// Fills the lane's control block. Gathers come first.
class CapturedPlan::Moves {
 public:
  explicit Moves(Lane& lane) : header_(lane.header()), moves_(lane.moves()) { header_ = {}; }

  Status add(std::uint64_t from, std::uint64_t to, std::size_t bytes) {
    while (bytes > 0) {
      if (count_ == moves_.size()) {
        return internal_error("a batch has more parts than its lane has moves");
      }
      const auto size = static_cast<std::uint32_t>(std::min<std::size_t>(bytes, kMostBytes));
      moves_[count_++] = {.from = from, .to = to, .bytes = size, .form = device::MoveForm::kCopy};
      from += from == 0 ? 0 : size;
      to += size;
      bytes -= size;
    }
    return ok_status();
  }
  // `bytes`: that are written.
  Status add_converted(std::uint64_t from, std::uint64_t to, std::size_t bytes, std::uint32_t form) {
    if (count_ == moves_.size() || bytes > kMostBytes) {
      return internal_error("a batch has more or larger parts than its lane has moves");
    }
    moves_[count_++] = {.from = from, .to = to, .bytes = static_cast<std::uint32_t>(bytes), .form = form};
    return ok_status();
  }
  void end_gathers() { header_.gathers = static_cast<std::uint32_t>(count_); }
  void finish(const device::LaunchQueue& queue) {
    header_.scatters = static_cast<std::uint32_t>(count_) - header_.gathers;
    header_.end_word = queue.end_word;
    header_.end_number = queue.end_number;
    header_.times = queue.times;
  }

 private:
  static constexpr std::size_t kMostBytes = std::size_t{1} << 30;

  device::FrameHeader& header_;
  const std::span<device::Move> moves_;
  std::size_t count_ = 0;
};

CapturedPlan::CapturedPlan(const SessionFacts& facts, BoundSession& session, Lane& lane)
    : facts_(facts),
      session_(&session),
      lane_(lane),
      shape_(facts.parts->device.shape()),
      homed_(shape_.ladder.size()),
      owned_(shape_.ladder.size()) {}

Result<std::unique_ptr<CapturedPlan>> CapturedPlan::capture(const SessionFacts& facts, BoundSession& session,
                                                            Lane& lane, std::span<const device::NamedRange> foreign) {
  std::unique_ptr<CapturedPlan> plan(new CapturedPlan(facts, session, lane));  // NOLINT: the constructor is private
  const CudaParts& parts = *facts.parts;
  const device::Driver& driver = parts.driver();
  const CUstream stream = parts.device.build_stream();
  TESSERA_ASSIGN_OR_RETURN(plan->binding_, session.bind(lane.memory()));
  for (int i = 0; i < kWarmUps; ++i) {
    TESSERA_RETURN_IF_ERROR(session.run(plan->binding_, lane.memory()));
  }
  TESSERA_RETURN_IF_ERROR(driver.check(driver.stream_synchronize(stream), "warm a lane"));
  TESSERA_RETURN_IF_ERROR(plan->record());
  TESSERA_RETURN_IF_ERROR(device::audit(*parts.gpu, plan->graph_.get(), fewest_processors(plan->shape_)));
  TESSERA_RETURN_IF_ERROR(device::check_pointers(*parts.gpu, plan->graph_.get(), foreign));
  Bytes gathered;
  for (const BoundTensor& input : plan->binding_.inputs) {
    gathered.value += input.bytes(session.rows());
  }
  const Bytes scattered{room_for(plan->binding_.outputs, session.rows())};
  TESSERA_RETURN_IF_ERROR(
      parts.kernels->frame(plan->graph_.get(), lane.control(), lane.scratch(), gathered, scattered));
  return plan;
}

Status CapturedPlan::record() {
  Status recorded = capture_run();
  // In any case: what the captured run left in the host's memory is given back while the session is there.
  Status let_go = session_->run(binding_, lane_.memory());
  return recorded.ok() ? let_go : recorded;
}

Status CapturedPlan::capture_run() {
  const CudaParts& parts = *facts_.parts;
  const CUstream stream = parts.device.build_stream();
  auto captured =
      device::capture(*parts.gpu, stream, [&](CUstream) { return session_->run_captured(binding_, lane_.memory()); });
  if (!captured.ok()) {
    return of_capture(captured.error());
  }
  graph_ = *std::move(captured);
  // Not in the lane's memory, where the graph itself will write. Most are the same in every lane and for every bucket.
  SessionSource& kept = *facts_.kept;
  std::vector<std::pair<std::span<const std::byte>, CUdeviceptr>> added;
  TESSERA_RETURN_IF_ERROR(device::freeze_host_tables(
      *parts.gpu, graph_.get(), stream, [&](std::span<const std::byte> table) -> Result<device::TablePlace> {
        if (const auto there = kept.table(table)) {
          return device::TablePlace{*there, true};
        }
        TESSERA_ASSIGN_OR_RETURN(const CUdeviceptr at, kept.append_small(table.size()));
        added.emplace_back(table, at);
        return device::TablePlace{at, false};
      }));
  for (const auto& [table, at] : added) {
    kept.keep_table(table, at);
  }
  return ok_status();
}

std::size_t CapturedPlan::place_of(const Slice& slice) const {
  return static_cast<std::size_t>(std::find(shape_.ladder.begin(), shape_.ladder.end(), slice) - shape_.ladder.begin());
}

Status CapturedPlan::home(const Slice& slice, CUstream stream) {
  const std::size_t place = place_of(slice);
  TESSERA_CHECK(place < homed_.size());
  const std::lock_guard lock(homing_);
  if (owned_[place] != nullptr) {
    return ok_status();
  }
  const CudaParts& parts = *facts_.parts;
  TESSERA_ASSIGN_OR_RETURN(const CUcontext context, parts.device.context_of(slice));
  TESSERA_ASSIGN_OR_RETURN(device::HomedGraph homed,
                           device::HomedGraph::make(*parts.gpu, graph_.get(), context, stream));
  homed.forget_nodes();
  owned_[place] = std::make_unique<const device::HomedGraph>(std::move(homed));
  homed_[place].store(owned_[place].get(), std::memory_order_release);
  return ok_status();
}

void CapturedPlan::drop_home(const Slice& slice) {
  const std::size_t place = place_of(slice);
  const std::lock_guard lock(homing_);
  if (place < owned_.size()) {
    homed_[place].store(nullptr, std::memory_order_release);
    owned_[place].reset();
  }
}

Status CapturedPlan::take_over(CapturedPlan& other, CUstream stream) {
  TESSERA_CHECK(&other.lane_ == &lane_);
  const CudaParts& parts = *facts_.parts;
  const std::lock_guard lock(homing_);
  std::vector<std::unique_ptr<const device::HomedGraph>> homed(owned_.size());
  for (std::size_t place = 0; place < owned_.size(); ++place) {
    if (owned_[place] != nullptr) {
      TESSERA_ASSIGN_OR_RETURN(const CUcontext context, parts.device.context_of(shape_.ladder[place]));
      TESSERA_ASSIGN_OR_RETURN(auto made, device::HomedGraph::make(*parts.gpu, other.graph_.get(), context, stream));
      made.forget_nodes();
      homed[place] = std::make_unique<const device::HomedGraph>(std::move(made));
    }
  }
  for (std::size_t place = 0; place < homed.size(); ++place) {
    homed_[place].store(homed[place].get(), std::memory_order_release);
  }
  owned_ = std::move(homed);
  BoundSession::release(binding_, lane_.memory());
  binding_ = std::move(other.binding_);
  graph_ = std::move(other.graph_);
  session_ = other.session_;
  return ok_status();
}

std::optional<device::HomedGraph::Steps> CapturedPlan::homing_took(const Slice& slice) const {
  const std::size_t place = place_of(slice);
  const std::lock_guard lock(homing_);
  return place < owned_.size() && owned_[place] != nullptr ? std::optional(owned_[place]->took()) : std::nullopt;
}

Status CapturedPlan::enqueue(const Slice& slice, const device::LaunchQueue& queue, Batch& batch) const {
  if (!lane_.begin()) {
    return internal_error("a lane was launched while a batch runs in it");
  }
  Status queued = queue_run(slice, queue, batch);
  if (!queued.ok()) {
    lane_.end();  // finish() is not called
  }
  return queued;
}

Status CapturedPlan::queue_run(const Slice& slice, const device::LaunchQueue& queue, const Batch& batch) const {
  const std::size_t place = place_of(slice);
  const device::HomedGraph* homed = place < homed_.size() ? homed_[place].load(std::memory_order_acquire) : nullptr;
  if (homed == nullptr) {
    return internal_error("a plan was launched in a slice that it is not homed in");
  }
  if (batch.inputs.size() != binding_.inputs.size() || batch.rows < 1 || batch.rows > session_->rows()) {
    return internal_error("a batch of " + std::to_string(batch.rows) + " rows and " +
                          std::to_string(batch.inputs.size()) + " inputs does not fit its plan");
  }
  Moves moves(lane_);
  TESSERA_RETURN_IF_ERROR(write_inputs(moves, queue, batch));
  moves.end_gathers();
  TESSERA_RETURN_IF_ERROR(write_outputs(moves, batch));
  moves.finish(queue);
  return homed->launch(queue.run);
}

Status CapturedPlan::write_inputs(Moves& moves, const device::LaunchQueue& queue, const Batch& batch) const {
  const CudaParts& parts = *facts_.parts;
  // Parts that lie elsewhere are copied to pinned memory first.
  std::size_t elsewhere = 0;
  for (const BatchInput& input : batch.inputs) {
    for (const auto& part : input.parts) {
      elsewhere += parts.device.reads_in_place(part) ? 0 : batch_aligned(part.size());
    }
  }
  lane_.gathered.reset();
  std::byte* pinned = nullptr;
  if (elsewhere > 0) {
    TESSERA_ASSIGN_OR_RETURN(lane_.gathered, parts.device.staging().lease({elsewhere}));
    pinned = lane_.gathered->bytes().data();
    parts.copies->add(elsewhere);
  }
  bool copied = false;
  Status moved = move_inputs(moves, queue, batch, pinned, copied);
  // Also where the rest failed: the launch ends when it has read what it was given.
  Status arrived = copied ? device::inputs_arrived(parts.driver(), queue) : ok_status();
  return moved.ok() ? arrived : moved;
}

Status CapturedPlan::move_inputs(Moves& moves, const device::LaunchQueue& queue, const Batch& batch, std::byte* pinned,
                                 bool& copied) const {
  const CudaParts& parts = *facts_.parts;
  for (std::size_t i = 0; i < batch.inputs.size(); ++i) {
    const BoundTensor& bound = binding_.inputs[i];
    CUdeviceptr to = bound.at;
    const BatchInput& input = batch.inputs[i];
    const std::optional<InputForm> form = as_in_file_ ? std::nullopt : facts_.forms[i];
    const std::size_t given = size_of(form ? form->dtype : bound.spec->dtype);
    for (std::size_t p = 0; p < input.parts.size(); ++p) {
      auto part = input.parts[p];
      const std::size_t size = part.size() / given * size_of(bound.spec->dtype);  // in the model's type
      if (to - bound.at + size > bound.bytes(batch.rows)) {
        return internal_error("a batch's input '" + bound.spec->name + "' has too many bytes");
      }
      const auto slot = p < input.copied.size() && input.copied[p] ? parts.device.slot_of(part) : std::nullopt;
      if (!parts.device.reads_in_place(part)) {
        std::memcpy(pinned, part.data(), part.size());
        part = {pinned, part.size()};
        pinned += batch_aligned(part.size());
      }
      TESSERA_RETURN_IF_ERROR(move_part(moves, queue, bound, form, part, slot, to, copied));
      to += size;
    }
    if (to - bound.at != bound.bytes(batch.rows)) {
      return internal_error("a batch's input '" + bound.spec->name + "' has too few bytes");
    }
    TESSERA_RETURN_IF_ERROR(moves.add(0, to, bound.bytes(session_->rows()) - bound.bytes(batch.rows)));
  }
  return ok_status();
}

// Large parts that are not on the card yet go there by a copy engine: to their place, or to where they are converted
// from.
Status CapturedPlan::move_part(Moves& moves, const device::LaunchQueue& queue, const BoundTensor& bound,
                               const std::optional<InputForm>& form, std::span<const std::byte> part,
                               const std::optional<CUdeviceptr>& slot, CUdeviceptr to, bool& copied) const {
  std::uint64_t from = slot ? *slot : address_of(part.data());
  if (!slot && part.size() > kReadInPlace) {
    const std::size_t values = (to - bound.at) / size_of(bound.spec->dtype);
    const CUdeviceptr there = form ? bound.raw + values * size_of(form->dtype) : to;
    const device::Driver& driver = facts_.parts->driver();
    TESSERA_RETURN_IF_ERROR(driver.check(driver.memcpy_htod_async(there, part.data(), part.size(), queue.inbound),
                                         "copy an input to the card"));
    copied = true;
    if (!form) {
      return ok_status();
    }
    from = there;
  }
  return form ? move_converted(moves, *form, bound, from, part.size(), to) : moves.add(from, to, part.size());
}

// Rows whose channels lie side by side go one by one.
Status CapturedPlan::move_converted(Moves& moves, const InputForm& form, const BoundTensor& bound, std::uint64_t from,
                                    std::size_t bytes, CUdeviceptr to) {
  using device::MoveForm;
  const MoveForm conversion = form.dtype == DType::kFp32    ? device::kFp32ToFp16
                              : form.dtype == DType::kUint8 ? device::kUint8ToFp16
                                                            : device::kFp16ToFp16;
  const std::size_t given = size_of(form.dtype);
  const std::size_t half = size_of(DType::kFp16);
  if (!form.channels_last) {
    return moves.add_converted(from, to, bytes / given * half, conversion);
  }
  const auto channels = static_cast<std::uint32_t>(bound.shape[bound.shape.rank() - 3]);
  for (std::size_t done = 0; done < bytes; done += bound.row.value / half * given) {
    TESSERA_RETURN_IF_ERROR(moves.add_converted(from + done, to + done / given * half, bound.row.value,
                                                device::planes_of(conversion, channels)));
  }
  return ok_status();
}

Status CapturedPlan::write_outputs(Moves& moves, const Batch& batch) const {
  TESSERA_ASSIGN_OR_RETURN(lane_.outputs, facts_.parts->device.staging().lease(
                                              {std::max(room_for(binding_.outputs, batch.rows), kBatchAlignment)}));
  if (copies_outputs(batch)) {
    return ok_status();
  }
  std::uint64_t to = address_of(lane_.outputs->bytes().data());
  for (const BoundTensor& output : binding_.outputs) {
    const std::size_t bytes = output.bytes(batch.rows);
    TESSERA_RETURN_IF_ERROR(moves.add(output.at, to, bytes));
    to += batch_aligned(bytes);
  }
  return ok_status();
}

bool CapturedPlan::copies_outputs(const Batch& batch) const {
  return room_for(binding_.outputs, batch.rows) > kWriteInPlace;
}

Status CapturedPlan::enqueue_outputs(CUstream stream, const Batch& batch) const {
  const device::Driver& driver = facts_.parts->driver();
  std::byte* to = lane_.outputs->bytes().data();
  for (const BoundTensor& output : binding_.outputs) {
    const std::size_t bytes = output.bytes(batch.rows);
    TESSERA_RETURN_IF_ERROR(driver.check(driver.memcpy_dtoh_async(to, output.at, bytes, stream), "copy an output"));
    to += batch_aligned(bytes);
  }
  return ok_status();
}

Status CapturedPlan::finish(const Slice& /*slice*/, Batch& batch) const {
  batch.outputs.clear();
  const std::byte* at = lane_.outputs->bytes().data();
  for (const BoundTensor& output : binding_.outputs) {
    const std::size_t bytes = output.bytes(batch.rows);
    const Shape shape = facts_.max_batch_size > 0 ? output.shape.without_first().with_first(batch.rows) : output.shape;
    batch.outputs.push_back({output.spec->dtype, shape, {at, bytes}});
    at += batch_aligned(bytes);
  }
  batch.output_memory = std::move(lane_.outputs);
  lane_.gathered.reset();
  lane_.end();
  return ok_status();
}

Status CapturedPlan::plain_run(const Batch& batch, std::span<std::byte> outputs) const {
  const CudaParts& parts = *facts_.parts;
  const device::Driver& driver = parts.driver();
  const CUstream stream = parts.device.build_stream();
  for (std::size_t i = 0; i < binding_.inputs.size(); ++i) {
    const auto& part = batch.inputs[i].parts.front();
    TESSERA_RETURN_IF_ERROR(driver.check(
        driver.memcpy_htod_async(binding_.inputs[i].at, part.data(), part.size(), stream), "copy an input"));
  }
  TESSERA_RETURN_IF_ERROR(session_->run(binding_, lane_.memory()));
  std::byte* to = outputs.data();
  for (const BoundTensor& output : binding_.outputs) {
    const std::size_t bytes = output.bytes(session_->rows());
    TESSERA_RETURN_IF_ERROR(driver.check(driver.memcpy_dtoh_async(to, output.at, bytes, stream), "copy an output"));
    to += batch_aligned(bytes);
  }
  return driver.check(driver.stream_synchronize(stream), "run a model plainly");
}

Status CapturedPlan::check_replay(const Slice& slice, Batch& batch) {
  const CudaParts& parts = *facts_.parts;
  as_in_file_ = true;
  const auto ran = parts.device.run_borrowed(*this, slice, batch);
  as_in_file_ = false;
  if (!ran.ok()) {
    return ran.error();
  }
  const auto replayed = std::move(batch.output_memory);
  TESSERA_ASSIGN_OR_RETURN(const auto plain, parts.device.staging().lease({std::max<std::size_t>(
                                                 room_for(binding_.outputs, session_->rows()), kBatchAlignment)}));
  TESSERA_RETURN_IF_ERROR(plain_run(batch, plain->bytes()));
  const std::byte* at = plain->bytes().data();
  for (std::size_t i = 0; i < binding_.outputs.size(); ++i) {
    const auto& bytes = batch.outputs[i].data;
    if (std::memcmp(bytes.data(), at, bytes.size()) != 0) {
      return unsupported("a replay of its captured run gives other values for output '" +
                         binding_.outputs[i].spec->name + "' than the run itself");
    }
    at += batch_aligned(bytes.size());
  }
  batch.outputs.clear();
  return ok_status();
}

}  // namespace tessera::engine
