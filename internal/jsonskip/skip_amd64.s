//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// The AVX2 twin of portable.go. doc in skip.go explains blocks, bitmasks and
// prefix XOR. In every function Y0 and Y1 hold the 64 bytes of a block.

// FILL sets all bytes of a vector register to c.
#define FILL(c, x, y) \
	MOVL         $c, AX \
	VMOVD        AX, x  \
	VPBROADCASTB x, y

// MASK makes the bitmask of the bytes of y0 and y1 that equal those of c. Bit i
// is byte i.
#define MASK(y0, y1, c, out, tmp) \
	VPCMPEQB  y0, c, Y4 \
	VPCMPEQB  y1, c, Y5 \
	VPMOVMSKB Y4, out   \
	VPMOVMSKB Y5, tmp   \
	SHLQ      $32, tmp  \
	ORQ       tmp, out

// BACKSLASHES makes the bitmask of the backslashes in BX. It jumps to none if
// there are none and the first byte is not escaped (R11).
#define BACKSLASHES(none) \
	VPCMPEQB  Y0, Y9, Y4 \
	VPCMPEQB  Y1, Y9, Y5 \
	VPOR      Y4, Y5, Y2 \
	VPMOVMSKB Y2, DX     \
	ORQ       R11, DX    \
	JZ        none       \
	VPMOVMSKB Y4, BX     \
	VPMOVMSKB Y5, DX     \
	SHLQ      $32, DX    \
	ORQ       DX, BX

DATA odd<>+0(SB)/8, $0xaaaaaaaaaaaaaaaa
GLOBL odd<>(SB), RODATA|NOPTR, $8

// ESCAPED makes two bitmasks from that of the backslashes: those that escape
// the next byte (escaping), and the bytes that are escaped. carry is 1 if the
// block's first byte is escaped, and becomes 1 if the next block's first is.
//
// A run of backslashes begins at an even or at an odd byte. The subtraction
// borrows along each run, from the byte behind its first, and so flips every
// other bit of it, as in simdjson.
#define ESCAPED(backslash, carry, escaping, escaped) \
	ANDNQ backslash, carry, escaped  \ // an escaped first byte escapes nothing
	LEAQ  (escaped)(escaped*1), escaping \
	ORQ   odd<>(SB), escaping          \
	SUBQ  escaped, escaping            \
	XORQ  odd<>(SB), escaping          \ // the escaping backslashes, and the byte behind each run that ends in one
	MOVQ  backslash, escaped         \
	ORQ   carry, escaped             \
	XORQ  escaping, escaped            \
	ANDQ  backslash, escaping          \
	MOVQ  escaping, carry              \
	SHRQ  $63, carry

// ALTERNATING handles blocks whose opening (BX) and closing (CX) brackets
// strictly alternate, so that the depth takes two values only: the lower one
// (R9) and one more. It jumps to uneven for all other blocks. R15 is all ones if
// the block begins at the higher depth, and is set likewise for its end.
//
// The bytes at the higher depth (R14) are then the difference of the two masks,
// since each opening bracket borrows up to the one that closes it. The check is
// that all opening brackets are among those bytes and no closing one is.
#define ALTERNATING(uneven) \
	LEAQ (CX)(R15*1), R14 \
	SUBQ BX, R14          \
	LEAQ (CX)(BX*1), DX   \
	ANDQ R14, DX          \
	CMPQ DX, BX           \
	JNE  uneven           \
	MOVQ R14, R15         \
	SARQ $63, R15

// PASS passes over a block, given the mask of the quotes that begin and end
// strings (AX). It jumps to uneven where the brackets do not alternate, and to
// next for the next block.
//
// The mask of the bytes in strings is the prefix XOR of the quotes: their
// carry-less product with all ones. Setting bit 5 turns [ and ] into { and }, so
// that BX gets the opening and CX the closing brackets outside strings.
#define PASS(next, flat) \
	VMOVQ      AX, X2             \
	VPCLMULQDQ $0, X14, X2, X2    \
	VMOVQ      X2, AX             \
	XORQ       R10, AX            \
	MOVQ       AX, R10            \
	SARQ       $63, R10           \
	VPOR       Y0, Y13, Y2        \
	VPOR       Y1, Y13, Y3        \
	MASK(Y2, Y3, Y10, BX, DX)      \
	ANDNQ      BX, AX, BX         \
	MASK(Y2, Y3, Y11, CX, DX)      \
	ANDNQ      CX, AX, CX         \
	ALTERNATING(uneven)           \
	TESTQ      R13, R13           \
	JZ         flat               \
	COMMAS                        \
flat:                             \
	ADDQ       $64, SI            \
	CMPQ       SI, R8             \
	JB         next

// COMMAS counts the commas outside strings (AX) and at the lower depth (not R14).
#define COMMAS \
	MASK(Y0, Y1, Y12, DX, CX) \
	ORQ     R14, AX          \
	ANDNQ   DX, AX, DX       \
	POPCNTQ DX, DX           \
	ADDQ    DX, R12

// COUNTING sets R13 to 1 if commas at the lower depth are counted, else to 0.
#define COUNTING \
	MOVQ    k+0(FP), DX             \
	MOVBQZX Skipper_counting(DX), R13 \
	XORL    DX, DX                  \
	CMPQ    R9, $1                  \
	CMOVQNE DX, R13

// func passVector(k *Skipper, p []byte) (n int, m bitmasks)
//
//	SI   the block; R8 the end of the last one
//	R9   the lower depth; R15 all ones if the depth is one more; R13 from COUNTING
//	R10  all ones in a string; R11 1 if the next byte is escaped; R12 commas
TEXT ·passVector(SB), NOSPLIT, $0-64
	MOVQ k+0(FP), DI
	MOVQ p_base+8(FP), SI
	MOVQ p_len+16(FP), R8
	ANDQ $~63, R8
	ADDQ SI, R8

	FILL('"', X8, Y8)
	FILL('\\', X9, Y9)
	FILL('{', X10, Y10)
	FILL('}', X11, Y11)
	FILL(',', X12, Y12)
	FILL(0x20, X13, Y13)
	VPCMPEQB X14, X14, X14

	MOVQ    Skipper_depth(DI), R9
	MOVL    $1, DX
	CMPQ    DX, R9
	SBBQ    R15, R15 // above depth 1, the next bracket likely closes
	ADDQ    R15, R9
	COUNTING
	MOVBQZX Skipper_inString(DI), R10
	NEGQ    R10
	MOVBQZX Skipper_escaped(DI), R11
	MOVQ    Skipper_commas(DI), R12

again:
	CMPQ SI, R8
	JAE  end

next:
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	MASK(Y0, Y1, Y8, AX, DX)
	BACKSLASHES(strings)
	ESCAPED(BX, R11, CX, DX)
	ANDNQ   AX, DX, AX

strings:
	PASS(next, flat)
	JMP end

uneven:
	// Could the closing brackets bring the depth down to 0, or to 1 where commas
	// are counted? If not, the numbers of brackets are all that matters.
	MOVQ    R9, DI
	SUBQ    R15, DI
	POPCNTQ CX, DX
	SUBQ    DX, DI
	MOVQ    k+0(FP), DX
	MOVBQZX Skipper_counting(DX), DX
	CMPQ    DI, DX
	JLE     shifted
	POPCNTQ BX, R9
	ADDQ    DI, R9
	CMPQ    CX, BX
	SBBQ    R15, R15 // the last one opens
	ADDQ    R15, R9
	COUNTING
	ADDQ    $64, SI
	JMP     again

shifted:
	// They may alternate between the other two depths that include the current
	// one.
	SUBQ  R15, R9
	NOTQ  R15
	ADDQ  R15, R9
	JLE   stop // one of them closes the whole
	ALTERNATING(stop)
	COUNTING
	ADDQ  $64, SI
	TESTQ R13, R13
	JZ    again
	COMMAS
	JMP   again

stop:
	MOVQ    BX, m_open+48(FP)
	ORQ     CX, BX
	MOVQ    BX, m_bracket+40(FP)
	MASK(Y0, Y1, Y12, DX, CX)
	ANDNQ   DX, AX, DX
	MOVQ    k+0(FP), DI
	MOVBQZX Skipper_counting(DI), CX
	NEGQ    CX
	ANDQ    CX, DX // empty if commas are not counted
	MOVQ    DX, m_comma+56(FP)

end:
	MOVQ k+0(FP), DI
	SUBQ R15, R9
	MOVQ R9, Skipper_depth(DI)
	NEGQ R10
	MOVB R10, Skipper_inString(DI)
	MOVB R11, Skipper_escaped(DI)
	MOVQ R12, Skipper_commas(DI)
	SUBQ p_base+8(FP), SI
	MOVQ SI, n+32(FP)
	VZEROUPPER
	RET

// func quoteVector(p []byte, before bool) (n int, escaped, found bool)
//
//	SI the block; R8 the end of the last one; R11 1 if the next byte is escaped
TEXT ·quoteVector(SB), NOSPLIT, $0-42
	MOVQ    p_base+0(FP), SI
	MOVQ    p_len+8(FP), R8
	ANDQ    $~63, R8
	ADDQ    SI, R8
	MOVBQZX before+24(FP), R11
	XORL    R10, R10 // found
	FILL('"', X8, Y8)
	FILL('\\', X9, Y9)

next:
	CMPQ SI, R8
	JAE  end
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1

	// Of a block without a quote only a backslash at its end matters.
	VPCMPEQB  Y0, Y8, Y4
	VPCMPEQB  Y1, Y8, Y5
	VPOR      Y4, Y5, Y2
	VPMOVMSKB Y2, AX
	TESTL     AX, AX
	JNZ       quotes
	CMPB      63(SI), $'\\'
	JEQ       quotes
	XORL      R11, R11
	ADDQ      $64, SI
	JMP       next

quotes:
	MASK(Y0, Y1, Y8, AX, DX)
	BACKSLASHES(unescaped)
	ESCAPED(BX, R11, CX, DX)
	ANDNQ AX, DX, AX

unescaped:
	TESTQ AX, AX
	JNZ   found
	ADDQ  $64, SI
	JMP   next

found:
	BSFQ AX, AX
	ADDQ AX, SI
	XORL R11, R11 // the byte behind the quote is not escaped
	INCQ R10

end:
	SUBQ p_base+0(FP), SI
	MOVQ SI, n+32(FP)
	MOVB R11, escaped+40(FP)
	MOVB R10, found+41(FP)
	VZEROUPPER
	RET

// Bits 1 to 4 tell the letters b, f, n, r and t of escapes apart. letters has
// the letter with those bits, meanings the byte that it stands for.
DATA letters<>+0(SB)/8, $0x6e000000660062ff // b at 1, f at 3, n at 7; and not NUL at 0
DATA letters<>+8(SB)/8, $0x0000000000747200 // r at 9, t at 10
GLOBL letters<>(SB), RODATA|NOPTR, $16
DATA meanings<>+0(SB)/8, $0x0a0000000c000800
DATA meanings<>+8(SB)/8, $0x0000000000090d00
GLOBL meanings<>(SB), RODATA|NOPTR, $16

// For each of 32 bytes: which byte of a mask of 32 bits has its bit, and which
// bit that is.
DATA spread<>+0(SB)/8, $0x0000000000000000
DATA spread<>+8(SB)/8, $0x0101010101010101
DATA spread<>+16(SB)/8, $0x0202020202020202
DATA spread<>+24(SB)/8, $0x0303030303030303
GLOBL spread<>(SB), RODATA|NOPTR, $32
DATA which<>+0(SB)/8, $0x8040201008040201
GLOBL which<>(SB), RODATA|NOPTR, $8

// KEEP stores the i-th 8 bytes of the block (at BX) without those whose bits are
// set in the low byte of R13.
#define KEEP(i) \
	MOVBQZX R13, CX            \
	SHRQ    $8, R13            \
	VMOVQ   (R10)(CX*8), X3    \
	VMOVQ   (8*i)(BX), X2      \
	VPSHUFB X3, X2, X2         \
	VMOVQ   X2, (8*i)(DI)      \
	POPCNTQ CX, CX             \
	SUBQ    CX, DI

// LETTERS replaces b, f, n, r and t by what they stand for, in those bytes of y
// whose bits are in the low half of set. out gets the bytes of y that are one of
// these letters.
#define LETTERS(y, set, out) \
	VPSRLW       $1, y, Y2     \
	VPAND        Y2, Y10, Y2   \
	VPSHUFB      Y2, Y11, Y3   \
	VPCMPEQB     Y3, y, Y3     \
	VPMOVMSKB    Y3, out       \
	VPSHUFB      Y2, Y12, Y2   \
	VMOVD        set, X4       \
	VPBROADCASTD X4, Y4        \
	VPSHUFB      Y13, Y4, Y4   \
	VPAND        Y14, Y4, Y4   \
	VPCMPEQB     Y14, Y4, Y4   \
	VPAND        Y3, Y4, Y4    \
	VPBLENDVB    Y4, Y2, y, y

// func unescapeVector(out, p []byte, compaction *[256][8]byte) (written, n int)
//
//	DI where to write; R9 the last place where a block fits; R10 compaction
//	SI the block; R8 the last place where one fits; R11 1 if its first byte is escaped
TEXT ·unescapeVector(SB), NOSPLIT, $64-72
	MOVQ out_base+0(FP), DI
	MOVQ out_len+8(FP), R9
	LEAQ -64(DI)(R9*1), R9
	MOVQ p_base+24(FP), SI
	MOVQ p_len+32(FP), R8
	LEAQ -64(SI)(R8*1), R8
	MOVQ compaction+48(FP), R10
	XORL R11, R11

	FILL('"', X8, Y8)
	FILL('\\', X9, Y9)
	FILL(0x0f, X10, Y10)
	FILL('/', X15, Y15)
	VBROADCASTI128 letters<>(SB), Y11
	VBROADCASTI128 meanings<>(SB), Y12
	VMOVDQU        spread<>(SB), Y13
	VPBROADCASTQ   which<>(SB), Y14

next:
	CMPQ SI, R8
	JHI  end
	CMPQ DI, R9
	JHI  end
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	MASK(Y0, Y1, Y8, AX, DX)
	BACKSLASHES(plain)
	ESCAPED(BX, R11, R13, R12)
	// AX becomes the quotes that end the string, DX the escaped bytes that are
	// neither quote nor backslash.
	ORQ   AX, BX
	ANDNQ R12, BX, DX
	ANDNQ AX, R12, AX
	MOVQ  SI, BX
	MOVQ  R13, R12 // the escaping backslashes
	TESTQ DX, DX
	JZ    keep

	MOVQ    DX, CX
	LETTERS(Y0, CX, R14)
	SHRQ    $32, CX
	LETTERS(Y1, CX, BX)
	SHLQ    $32, BX
	ORQ     BX, R14
	LEAQ    mapped-64(SP), BX
	VMOVDQU Y0, (BX)
	VMOVDQU Y1, 32(BX)
	ANDNQ   DX, R14, DX
	JZ      keep
	MASK(Y0, Y1, Y15, CX, R14)
	ANDNQ   DX, CX, DX

keep:
	MOVQ DI, R14
	KEEP(0)
	KEEP(1)
	KEEP(2)
	KEEP(3)
	KEEP(4)
	KEEP(5)
	KEEP(6)
	KEEP(7)
	ORQ  DX, AX
	JNZ  stop
	ADDQ $64, SI
	ADDQ $64, DI
	JMP  next

plain:
	VMOVDQU Y0, (DI)
	VMOVDQU Y1, 32(DI)
	TESTQ   AX, AX
	JNZ     quote
	ADDQ    $64, SI
	ADDQ    $64, DI
	JMP     next

quote:
	BSFQ AX, AX
	ADDQ AX, SI
	ADDQ AX, DI
	JMP  done

stop:
	// Keep of the block what is before AX's first bit, and before the backslash
	// in front of it if that is an escape.
	MOVQ    R14, DI
	BSFQ    AX, CX
	BTQ     CX, DX
	SBBQ    $0, CX
	ADDQ    CX, SI
	TESTQ   CX, CX
	JS      done // the backslash was in the block before
	MOVL    $1, AX
	SHLQ    CX, AX
	DECQ    AX
	ANDNQ   AX, R12, AX
	POPCNTQ AX, AX
	ADDQ    AX, DI
	JMP     done

end:
	SUBQ R11, SI // leave a backslash at the end to the caller

done:
	SUBQ out_base+0(FP), DI
	MOVQ DI, written+56(FP)
	SUBQ p_base+24(FP), SI
	MOVQ SI, n+64(FP)
	VZEROUPPER
	RET
