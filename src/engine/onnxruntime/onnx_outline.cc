#include "engine/onnxruntime/onnx_outline.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"
#include "engine/onnxruntime/onnx_fields.h"

namespace tessera::engine {
namespace {

// The messages whose fields are looked at one by one.
enum class Level { kModel, kGraph, kInitialiser };

std::optional<Level> level_inside(Level level, const OnnxFieldHead& head) {
  if (head.type != WireType::kLengthDelimited) {
    return std::nullopt;
  }
  if (level == Level::kModel && head.field == 7) {
    return Level::kGraph;
  }
  return level == Level::kGraph && head.field == 5 ? std::optional(Level::kInitialiser) : std::nullopt;
}

// TensorProto's float_data, int32_data, string_data, int64_data, raw_data, double_data, uint64_data.
bool holds_data(Level level, const OnnxFieldHead& head) {
  if (level != Level::kInitialiser || head.type != WireType::kLengthDelimited) {
    return false;
  }
  switch (head.field) {
    case 4:
    case 5:
    case 6:
    case 7:
    case 9:
    case 10:
    case 11:
      return true;
    default:
      return false;
  }
}

// Writes a number over one that was not smaller, in as many bytes.
void overwrite_varint(std::span<std::byte> bytes, std::uint64_t value) {
  for (std::size_t i = 0; i < bytes.size(); ++i, value >>= 7) {
    const bool last = i + 1 == bytes.size();
    bytes[i] = static_cast<std::byte>((value & 0x7f) | (last ? 0 : 0x80));
  }
  TESSERA_CHECK(value == 0);
}

// Goes through a file once, front to back. Owned by one thread.
class OutlineWriter {
 public:
  OutlineWriter(const ReadableFile& file, const OutlineSizes& sizes, std::span<std::byte> out)
      : file_(file), kept_data_(sizes.kept_data.value), chunk_(sizes.chunk.value), out_(out) {}

  // The fields from here to `end`, where the message that they belong to ends.
  Status write(Level level, std::uint64_t end) {
    while (at_ < end) {
      TESSERA_ASSIGN_OR_RETURN(const auto start, peek(std::min<std::uint64_t>(OnnxFieldHead::kMostBytes, end - at_)));
      const auto head = read_head(start);
      if (!head || head->content > end - at_ - head->bytes) {
        return malformed_model();
      }
      if (holds_data(level, *head) && head->content > kept_data_) {
        pass(head->bytes + head->content);
        continue;
      }
      TESSERA_RETURN_IF_ERROR(keep(head->bytes));
      const auto inside = level_inside(level, *head);
      if (!inside) {
        TESSERA_RETURN_IF_ERROR(keep(head->content));
        continue;
      }
      const std::size_t begin = used_;
      TESSERA_RETURN_IF_ERROR(write(*inside, at_ + head->content));
      overwrite_varint(out_.subspan(begin - head->length_bytes, head->length_bytes), used_ - begin);
    }
    return {};
  }

  std::size_t used() const { return used_; }

 private:
  Status read_ahead() {
    const std::span<std::byte> into = std::span(chunk_).first(std::min(chunk_.size(), file_.size() - at_));
    TESSERA_RETURN_IF_ERROR(file_.read_at(at_, into));
    ahead_ = into;
    return {};
  }

  // The next bytes, of which the file has as many; valid until others are read.
  Result<std::span<const std::byte>> peek(std::size_t size) {
    if (ahead_.size() < size) {
      TESSERA_RETURN_IF_ERROR(read_ahead());
    }
    return ahead_.first(size);
  }

  void pass(std::uint64_t size) {
    at_ += size;
    ahead_ = ahead_.subspan(std::min(size, ahead_.size()));
  }

  Status keep(std::uint64_t size) {
    if (size > out_.size() - used_) {
      return Error(ErrorCode::kTooLarge, "the model's file holds more than " + std::to_string(out_.size()) +
                                             " bytes beside its initialisers");
    }
    while (size > 0) {
      if (ahead_.empty() && size < chunk_.size()) {
        TESSERA_RETURN_IF_ERROR(read_ahead());
      }
      // What is longer than a chunk goes straight to where it stays.
      const bool here = !ahead_.empty();
      const auto into = out_.subspan(used_, here ? std::min(size, ahead_.size()) : size);
      if (here) {
        std::memcpy(into.data(), ahead_.data(), into.size());
      } else {
        TESSERA_RETURN_IF_ERROR(file_.read_at(at_, into));
      }
      pass(into.size());
      used_ += into.size();
      size -= into.size();
    }
    return {};
  }

  const ReadableFile& file_;
  const std::uint64_t kept_data_;
  std::vector<std::byte> chunk_;
  std::span<const std::byte> ahead_;  // what was read and comes next
  std::uint64_t at_ = 0;
  std::span<std::byte> out_;
  std::size_t used_ = 0;
};

}  // namespace

Result<OnnxOutline> read_outline(const ReadableFile& file, const OutlineSizes& sizes) {
  TESSERA_CHECK(sizes.chunk.value >= OnnxFieldHead::kMostBytes);
  const auto room = std::min(file.size(), sizes.most.value);
  std::unique_ptr<std::byte[]> memory;
  try {
    // Of what stays unused no page is ever there.
    memory = std::make_unique_for_overwrite<std::byte[]>(room);
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::kOutOfMemory, "no memory to read '" + file.name() + "' into");
  }
  OutlineWriter outline(file, sizes, {memory.get(), room});
  const Status written = outline.write(Level::kModel, file.size());
  // What a file that was cut short looks like says nothing, and the part that is gone may be one that was left out.
  if (std::byte last{}; file.size() > 0) {
    TESSERA_RETURN_IF_ERROR(file.read_at(file.size() - 1, {&last, 1}));
  }
  if (!written.ok()) {
    return written.error();
  }
  return OnnxOutline(std::move(memory), outline.used());
}

}  // namespace tessera::engine
